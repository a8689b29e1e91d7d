"""Writes what the programs of programs.list read: make_inputs.py DIRECTORY SCALE

The files depend on nothing but the scale and this script, so that every run of the benchmarks,
here or elsewhere, works on the same bytes. The driver calls this once for a scale and keeps the
directory.
"""

import os
import random
import shutil
import subprocess
import sys

WORDS = ("heap page span class arena magazine cache thread list node tree block chunk table "
         "index value order length request response queue worker buffer stream").split()


def words(rng, count):
    return " ".join(rng.choices(WORDS, k=count))


def c_function(i):
    """One function of some twenty lines that calls an earlier one."""
    call = f"f{i - 3}(&(struct s{i - 3}){{sum, {{1, 2}}, {{0.5}}}}, n / 2)" if i >= 3 else "0"
    return f"""
struct s{i} {{ uint{32 << i % 2}_t a; unsigned char b[{i % 30 + 2}]; double c[{i % 5 + 1}]; }};

uint32_t f{i}(const struct s{i} *s, uint32_t n)
{{
    uint32_t sum = (uint32_t)s->a;
    for (uint32_t k = 0; k < n % {i % 17 + 3}u; k++) {{
        switch ((sum + k) % 5) {{
        case 0: sum += s->b[k % sizeof s->b] * {i}u; break;
        case 1: sum ^= sum << {i % 13 + 1}; break;
        case 2: sum -= (uint32_t)s->c[k % {i % 5 + 1}]; break;
        case 3: memmove(&sum, s->b, {min(i % 30 + 2, 4)}); break;
        default: sum = sum * 31 + k; break;
        }}
    }}
    return sum + {call};
}}
"""


def write_c(path, scale):
    with open(path, "w") as out:
        out.write("#include <stdint.h>\n#include <stdio.h>\n#include <string.h>\n")
        for i in range(int(120 * scale) + 4):
            out.write(c_function(i))


def preprocess(compiler, source, out):
    """gcc's compilers proper run without their driver, which alone knows where the headers are."""
    subprocess.run([compiler, "-E", "-P", source, "-o", out], check=False)


def cxx_function(i):
    return f"""
struct t{i} {{ int a; std::string b; bool operator<(const t{i} &o) const {{ return a < o.a; }} }};

long g{i}(int n)
{{
    std::map<t{i}, std::unique_ptr<t{i}>> m;
    std::vector<std::function<long(int)>> v;
    for (int k = 0; k < n; k++) {{
        m[t{i}{{k, "x"}}] = std::make_unique<t{i}>();
        v.push_back([&m, k](int x) {{ return x + k + (long)m.size(); }});
    }}
    std::sort(v.begin(), v.end(), [](auto &p, auto &q) {{ return p(1) > q(1); }});
    return v.front()(n);
}}
"""


def write_cxx(path, scale):
    with open(path, "w") as out:
        for header in ("algorithm", "functional", "map", "memory", "string", "vector"):
            out.write(f"#include <{header}>\n")
        for i in range(int(5 * scale) + 1):
            out.write(cxx_function(i))


def write_sql(path, scale):
    """Two tables of some 100k rows, three indices, joins, updates and deletions."""
    rng = random.Random(3)
    count = int(110000 * scale) + 100
    with open(path, "w") as out:
        out.write("CREATE TABLE item(id INTEGER PRIMARY KEY, owner INT, name TEXT, price REAL);\n"
                  "CREATE TABLE owner(id INTEGER PRIMARY KEY, name TEXT, city TEXT);\nBEGIN;\n")
        for i in range(count // 10):
            out.write(f"INSERT INTO owner VALUES({i},'{words(rng, 2)} {i}',"
                      f"'{rng.choice(WORDS)}');\n")
        for i in range(count):
            out.write(f"INSERT INTO item VALUES({i},{rng.randrange(count // 10)},"
                      f"'{words(rng, rng.randint(1, 9))}',{rng.randrange(100000) / 100});\n")
        out.write("COMMIT;\n"
                  "CREATE INDEX item_owner ON item(owner);\nCREATE INDEX item_name ON item(name);\n"
                  "CREATE INDEX owner_city ON owner(city, name);\n"
                  "SELECT city, count(*), round(sum(price), 2) FROM item JOIN owner "
                  "ON item.owner = owner.id GROUP BY city ORDER BY city;\n"
                  "SELECT count(DISTINCT item.name || city) FROM item JOIN owner "
                  "ON item.owner = owner.id;\n"
                  "UPDATE item SET name = name || ' of ' || owner WHERE id % 3 = 0;\n"
                  "DELETE FROM item WHERE id % 7 = 0;\n"
                  "SELECT length(group_concat(name)), count(*) FROM "
                  "(SELECT name FROM item ORDER BY name DESC, id);\n")


def write_postscript(path, scale):
    """Pages of text in several sizes, of curves and of filled shapes."""
    rng = random.Random(5)
    with open(path, "w") as out:
        out.write("%!PS-Adobe-3.0\n")
        for _ in range(int(250 * scale) + 1):
            for line in range(60):
                out.write(f"/Times-Roman findfont {8 + line % 5} scalefont setfont\n"
                          f"50 {760 - 12 * line} moveto ({words(rng, 14)}) show\n")
            for _ in range(150):
                x, y, size = rng.randrange(500), rng.randrange(700), rng.randrange(10, 90)
                out.write(f"{rng.random():.2f} {rng.random():.2f} 0.5 setrgbcolor newpath {x} {y} "
                          f"moveto {x + size} {y} {x} {y + size} {x + size} {y + size} curveto "
                          f"{'closepath fill' if size % 2 else 'stroke'}\n"
                          f"[ {size} dict dup /key {x} put /list {size} array put ] pop\n")
            out.write("0 setgray showpage\n")


def write_xml(path, scale):
    rng = random.Random(7)
    with open(path, "w") as out:
        out.write("<?xml version='1.0'?>\n<catalogue>\n")
        for i in range(int(130000 * scale) + 10):
            out.write(f"<item id='{i}' kind='{rng.choice(WORDS)}'><name>{words(rng, 3)}</name>"
                      f"<note lang='en'>{words(rng, rng.randint(1, 20))} &amp; more</note>"
                      f"<price>{rng.randrange(10000)}</price></item>\n")
        out.write("</catalogue>\n")


def write_lines(path, scale):
    rng = random.Random(11)
    with open(path, "w") as out:
        for _ in range(int(400000 * scale) + 100):
            number = rng.randrange(10 ** rng.randint(1, 12))
            out.write(f"{number} {words(rng, rng.randint(1, 8))}\n")


def write_redis(path, scale):
    """Commands that leave data of every kind behind, some of it changed and deleted again."""
    rng = random.Random(13)
    with open(path, "w") as out:
        for i in range(int(100000 * scale) + 100):
            key = rng.randrange(20000)
            out.write(f"SET string:{key} {i}-{'d' * rng.randrange(300)}\n"
                      f"HSET hash:{key % 1000} field{rng.randrange(300)} {i:x}\n"
                      f"RPUSH list:{key % 600} item{i}\n")
            if i % 3 == 0:
                out.write(f"ZADD zset:{key % 400} {rng.randrange(10000)} member{key}\n"
                          f"SADD set:{key % 200} {i}\n")
            if i % 11 == 0:
                out.write(f"DEL string:{key * 7 % 20000} list:{key * 3 % 600}\n")


def main():
    directory, scale = sys.argv[1], float(sys.argv[2])
    os.makedirs(directory, exist_ok=True)
    for name, write in (("many.c", write_c), ("many.cc", write_cxx), ("load.sql", write_sql),
                        ("pages.ps", write_postscript), ("catalogue.xml", write_xml),
                        ("lines.txt", write_lines), ("redis.txt", write_redis)):
        write(os.path.join(directory, name), scale)
    os.chdir(directory)
    if shutil.which("gcc"):
        preprocess("gcc", "many.c", "many.i")
    if shutil.which("g++"):
        preprocess("g++", "many.cc", "many.ii")


if __name__ == "__main__":
    main()
