#!/usr/bin/env bash
# git: a history of some thousand commits, then everything that reads and repacks it. Packing is
# threaded and maps and allocates in large pieces; history walks make many small objects.
# shellcheck source=lib.sh disable=SC2317
source "$(dirname -- "$0")/lib.sh"

need git

active git --version

export GIT_CONFIG_NOSYSTEM=1
export GIT_AUTHOR_DATE='1700000000 +0000' GIT_COMMITTER_DATE='1700000000 +0000'
git config --global user.name Tester
git config --global user.email tester@example.org
git config --global init.defaultBranch main
git config --global advice.detachedHead false
git config --global gc.autoDetach false
git config --global pack.threads 2

# A stream for git fast-import: 3000 commits that change some of 200 files.
awk 'BEGIN {
    x = 11
    for (i = 1; i <= 3000; i++) {
        printf "commit refs/heads/main\nmark :%d\n", i
        printf "committer Tester <tester@example.org> %d +0000\n", 1600000000 + i * 60
        message = "change " i "\n"
        printf "data %d\n%s", length(message), message
        if (i > 1) printf "from :%d\n", i - 1
        for (k = 0; k < 3; k++) {
            x = (x * 16807) % 2147483647
            text = ""
            for (l = 0; l < 40; l++) text = text "line " l " of " (x % 200 + (l == i % 40) * i) "\n"
            printf "M 100644 inline dir%d/file%d\n", x % 10, x % 200
            printf "data %d\n%s\n", length(text), text
        }
    }
}' >"$in/stream"

# The objects' names are what is compared: packs may differ by how threads met.
describe() {
    git -C "$1" rev-list --objects --all | sort | sha256sum
    git -C "$1" fsck --full --strict 2>/dev/null
    git -C "$1" status --short
}

commit_by_hand() {
    local i
    git init -q repo
    cd repo
    for i in {1..60}; do
        echo "content $i" >>"file$((i % 7))"
        git add -A
        git commit -q -m "commit $i"
    done
    git checkout -q -b side HEAD~20
    echo side >side
    git add side
    git commit -q -m side
    git checkout -q main
    git merge -q -m merge side
    git log --graph --stat --format='%H %an %s'
    git grep -n 'content 3'
    git blame file3
    cd ..
    describe repo
    rm -rf repo
}

long_history() {
    git init -q big
    git -C big fast-import --quiet <"$in/stream"
    git -C big reset -q --hard
    git -C big log --format='%H %T %s' -- dir3
    git -C big log -p -n 100 -- dir5 dir6 | sha256sum
    git -C big diff --stat 'HEAD~500' HEAD
    git -C big gc -q --aggressive --prune=now
    git clone -q --no-local big copy 2>/dev/null
    git -C copy archive --format=tar HEAD | sha256sum
    git -C copy bundle create -q ../bundle --all
    git clone -q bundle third
    describe big
    describe copy
    describe third
    rm -rf big copy third bundle
}

same "commits, a merge, blame" commit_by_hand
same "a long history: import, gc, clone, bundle, fsck" long_history
finish
