// JSON, buffers, maps and strings in node: node_json.js SCALE
'use strict';

const count = Math.floor(25000 * Number(process.argv[2])) + 1;

function item(i) {
    return {
        id: i,
        name: `item ${i}`,
        tags: Array.from({ length: i % 9 }, (_, k) => `tag${k}`),
        parts: Array.from({ length: i % 7 }, (_, k) => ({ key: k, value: String(i * k) })),
    };
}

// The memory of buffers comes from malloc, that of other objects from node's own heap.
function buffers() {
    const live = new Map();
    let sum = 0;
    for (let i = 0; i < count * 4; i++) {
        const size = 5000 + (i * 7919) % 20000;
        const buffer = Buffer.allocUnsafeSlow(size);
        buffer.writeUInt32LE(i, size - 4);
        live.set((i * 31) % 1500, buffer);
    }
    for (const buffer of live.values()) {
        sum += buffer.readUInt32LE(buffer.length - 4);
    }
    return sum;
}

function texts() {
    const text = JSON.stringify(Array.from({ length: count }, (_, i) => item(i)));
    let total = 0;
    for (let i = 0; i < 4; i++) {
        const again = JSON.parse(text);
        total += again.reduce((sum, entry) => sum + entry.tags.length + entry.parts.length, 0);
        total += Buffer.from(JSON.stringify(again, null, 1)).toString('base64').length;
    }
    return total;
}

console.log(texts(), buffers());
