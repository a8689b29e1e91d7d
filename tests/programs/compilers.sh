#!/usr/bin/env bash
# gcc, g++ and clang on generated sources of some thousand functions and templates, with the
# linker after them. A compiler's output depends on nothing but its input: object files must agree
# to the byte.
# shellcheck source=lib.sh disable=SC2317
source "$(dirname -- "$0")/lib.sh"

need gcc g++ clang ld

echo 'int main(void) { return 0; }' >"$in/main.c"
active gcc --version
active "$(gcc -print-prog-name=cc1)" -quiet -o /dev/null "$in/main.c"
active "$(g++ -print-prog-name=cc1plus)" -quiet -o /dev/null "$in/main.c"
active clang -fsyntax-only "$in/main.c"
active ld --version

awk 'BEGIN {
    print "#include <stdint.h>\n#include <stdio.h>\n#include <string.h>"
    for (i = 0; i < 1500; i++) {
        printf "struct s%d { uint%d_t a; char name[%d]; double d[%d]; };\n", i,
            (i % 2 ? 32 : 64), i % 30 + 1, i % 5 + 1
        printf "static uint32_t f%d(const struct s%d *s, uint32_t n)\n{\n", i, i
        printf "    uint32_t sum = (uint32_t)s->a;\n"
        printf "    for (uint32_t k = 0; k < n %% %du; k++) {\n", i % 17 + 3
        printf "        switch ((sum + k) %% 5) {\n"
        printf "        case 0: sum += (uint32_t)s->name[k %% sizeof s->name] * %du; break;\n", i
        printf "        case 1: sum ^= sum << %d; break;\n", i % 13 + 1
        printf "        case 2: sum -= (uint32_t)s->d[k %% %d]; break;\n", i % 5 + 1
        printf "        default: sum = sum * 31 + k; break;\n        }\n    }\n"
        if (i > 2) printf "    struct s%d t = { sum, \"n%d\", { 1.5 } };\n" \
            "    return sum + f%d(&t, n / 2);\n}\n", i - 3, (i - 3) % 2 ? 1 : 0, i - 3
        else print "    return sum;\n}"
    }
    print "int main(void)\n{\n    uint32_t sum = 0;"
    for (i = 0; i < 1500; i += 50)
        printf "    struct s%d v%d = { %d, \"\", { 2 } };\n    sum += f%d(&v%d, 9);\n",
            i, i, i, i, i
    print "    printf(\"%u\\n\", sum);\n    return 0;\n}"
}' >"$in/many.c"

awk 'BEGIN {
    print "#include <algorithm>\n#include <cstdio>\n#include <functional>\n#include <map>"
    print "#include <memory>\n#include <stdexcept>\n#include <string>\n#include <vector>"
    print "template <int N> struct fib { static constexpr long v = fib<N-1>::v + fib<N-2>::v; };"
    print "template <> struct fib<0> { static constexpr long v = 0; };"
    print "template <> struct fib<1> { static constexpr long v = 1; };"
    print "template <int N, typename... T> struct node : node<N - 1, T..., char[N]> {"
    print "    std::map<std::string, std::vector<node *>> links; virtual ~node() {} };"
    print "template <typename... T> struct node<0, T...> { long size = (0 + ... + sizeof(T)); };"
    for (i = 0; i < 20; i++) {
        printf "struct t%d { int a; std::string b; bool operator<(const t%d &o) const " \
            "{ return a < o.a; } };\n", i, i
        printf "long g%d(int n)\n{\n    std::map<t%d, std::unique_ptr<t%d>> m;\n", i, i, i
        printf "    std::vector<std::function<long(int)>> v;\n"
        printf "    for (int k = 0; k < n; k++) {\n"
        printf "        m[t%d{k, \"x\"}] = std::make_unique<t%d>();\n", i, i
        printf "        v.push_back([&m, k](int x) { return x + k + (long)m.size(); });\n    }\n"
        printf "    std::sort(v.begin(), v.end(), [](auto &p, auto &q) { return p(1) > q(1); });\n"
        printf "    if (n > 100) throw std::runtime_error(\"t%d\");\n", i
        printf "    return fib<%d>::v + v.front()(n);\n}\n", i + 10
    }
    print "int main()\n{\n    long sum = node<25>().size;"
    for (i = 0; i < 20; i++) printf "    sum += g%d(%d);\n", i, i + 1
    print "    try { g0(101); } catch (std::exception &e) { std::puts(e.what()); }"
    print "    std::printf(\"%ld\\n\", sum);\n}"
}' >"$in/many.cc"

compile() {
    "$@" -o program
    ./program
}

errors() {
    gcc -c "$in/wrong.c" || echo "code $?"
    clang -c "$in/wrong.c" || echo "code $?"
}
echo 'int f(void) { return undeclared + ; } struct x { struct x y; };' >"$in/wrong.c"

same "gcc -O2 -g" compile gcc -O2 -g "$in/many.c"
same "g++ -O1" compile g++ -std=c++17 -O1 "$in/many.cc"
same "clang -O2" compile clang -O2 "$in/many.c"
same "clang++, templates" compile clang++ -std=c++17 -O1 "$in/many.cc"
same "errors" errors
finish
