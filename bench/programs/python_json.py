"""JSON and regular expressions in python3: python_json.py SCALE. Prints counts as a check."""

import json
import re
import sys


def document(i):
    return {"id": i, "name": f"item {i}", "tags": [f"tag{k}" for k in range(i % 9)],
            "price": i * 1.25, "parts": [{"key": k, "value": str(i * k)} for k in range(i % 7)]}


def main():
    scale = float(sys.argv[1])
    documents = [document(i) for i in range(int(11000 * scale) + 1)]
    text = json.dumps(documents)
    for _ in range(3):
        again = json.loads(text)
    text = json.dumps(again, indent=1, sort_keys=True)
    names = re.findall(r'"name": "item (\d+)"', text)
    swapped = re.sub(r'"value": "(\d+)"', lambda match: f'"eulav": "{match.group(1)[::-1]}"', text)
    lines = [line.strip().split(": ") for line in swapped.splitlines()]
    print(len(text), len(names), len(swapped), len(lines), sum(len(line[-1]) for line in lines))


main()
