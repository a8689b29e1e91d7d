#!/usr/bin/env bash
# Node: V8 reserves its own heap, while buffers, worker threads, zlib, regular expressions and
# compiled code take from malloc, operator new and aligned allocation.
# shellcheck source=lib.sh disable=SC2317
source "$(dirname -- "$0")/lib.sh"

need node

active node -e 0

cat >"$in/churn.js" <<'END'
'use strict';
const { Worker, isMainThread, parentPort, workerData } = require('worker_threads');
const crypto = require('crypto');
const fs = require('fs');
const path = require('path');
const zlib = require('zlib');

function churn(seed, rounds) {
    const hash = crypto.createHash('sha256');
    const live = new Map();
    for (let i = 0; i < rounds; i++) {
        seed = seed * 16807 % 2147483647;
        const buffer = Buffer.alloc(seed % 5000 + 1, seed % 256);
        live.set(seed % 1009, { i, buffer, text: ('t' + seed).repeat(seed % 20) });
        if (i % 200 === 0) {
            const some = [...live.values()].slice(0, 50);
            const json = JSON.stringify(some.map(v => [v.i, v.text]));
            const packed = zlib.deflateSync(json, { level: i % 9 + 1 });
            hash.update(zlib.inflateSync(packed));
            hash.update(json.replace(/t(\d+)(?=t)/g, (m, n) => n.length));
            some.forEach(v => hash.update(v.buffer));
        }
    }
    return hash.digest('hex');
}

async function main() {
    console.log(churn(1, 20000));
    const workers = [2, 3, 4, 5].map(seed => new Promise((resolve, reject) => {
        const worker = new Worker(__filename, { workerData: seed });
        worker.on('message', resolve);
        worker.on('error', reject);
    }));
    console.log(await Promise.all(workers));
    const names = Array.from({ length: 100 }, (_, n) => path.join(process.cwd(), 'file' + n));
    await Promise.all(names.map(n => fs.promises.writeFile(n, path.basename(n).repeat(1000))));
    const read = await Promise.all(names.map(n => fs.promises.readFile(n)));
    console.log(crypto.createHash('md5').update(Buffer.concat(read)).digest('hex'));
    const keys = await Promise.all([1, 2, 3, 4].map(n => new Promise((resolve, reject) =>
        crypto.scrypt('password', 'salt' + n, 32, (e, k) => e ? reject(e) : resolve(k)))));
    console.log(keys.map(k => k.toString('hex')));
    const wasm = new WebAssembly.Module(Buffer.from([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]));
    console.log(WebAssembly.Module.exports(wasm));
}

if (isMainThread) {
    main();
} else {
    parentPort.postMessage(churn(workerData, 5000));
}
END

same "churn" node "$in/churn.js"
finish
