"""Objects, dictionaries, strings and trees in python3 that come and go: python_objects.py SCALE"""

import random
import sys


class Node:
    def __init__(self, key, value):
        self.key = key
        self.value = value
        self.left = None
        self.right = None


def insert(root, node):
    while True:
        side = "left" if node.key < root.key else "right"
        child = getattr(root, side)
        if child is None:
            setattr(root, side, node)
            return
        root = child


def tree(rng, count):
    root = Node(0.5, "root")
    for i in range(count):
        insert(root, Node(rng.random(), [i, str(i)]))
    return root


def depth(node):
    return 0 if node is None else 1 + max(depth(node.left), depth(node.right))


def churn(rng, count):
    """A table of live entries of mixed sizes, replaced at random."""
    table = {}
    for i in range(count):
        key = rng.randrange(20000)
        table[key] = (i, "x" * rng.randrange(200), {"key": key, "list": list(range(key % 10))})
        if i % 3 == 0:
            table.pop(rng.randrange(20000), None)
    return sum(len(value[1]) for value in table.values())


def main():
    scale = float(sys.argv[1])
    rng = random.Random(1)
    for _ in range(2):
        print(churn(rng, int(200000 * scale) + 1), depth(tree(rng, int(25000 * scale) + 1)))


main()
