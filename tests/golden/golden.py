#!/usr/bin/env python3
"""Counts the instructions of warm calls of malloc, free, malloc_usable_size and of realloc where the
block stays, and compares with expected.txt.

steps records the address of each instruction of each call that the victim marks; objdump says what
the instruction at that address is. Limits hold for every size class and with every compiler; the
exact numbers only with the compiler that expected.txt names.
"""
import argparse
import os
import re
import subprocess
import sys

MIN_CLASSES = 32  # fewer would mean that the victim does not walk through the classes
NAMED_SIZES = (8, 64, 1000, 32768)
MAX_FAULTS = 20  # a slow path shows in each class; the first ones tell it all
TRACED_SIZE = 64
LIMITS = {"malloc": 18, "free": 18, "free-other": 18, "usable-size": 32, "realloc": 40}
COLUMNS = ("instructions", "loads", "stores", "branches", "jumps", "calls", "locks")

PREFIXES = re.compile(r"(?:(?:lock|rep|repz|repnz|bnd|notrack|data16|rex\S*|[c-gs]s) )+")
MEMORY = re.compile(r"\[|\bPTR\b")
READS_FIRST_OPERAND = re.compile(r"cmp(?!xchg)|test|bt$|i?mul|i?div|call|jmp|push")
WRITES_FIRST_OPERAND = re.compile(r"v?mov|set|pop|stos")


def disassemble(library):
    """The instructions of the library by address, as pairs of prefixes and text."""
    command = ["objdump", "-d", "--no-show-raw-insn", "-M", "intel", library]
    listing = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    code = {}
    for address, text in re.findall(r"^ *([0-9a-f]+):\t(.*)$", listing, re.MULTILINE):
        text = re.sub(r"\s*[#<].*", "", text)
        prefixes = PREFIXES.match(text)
        prefixes = prefixes.group() if prefixes else ""
        code[int(address, 16)] = (prefixes, text[len(prefixes):].strip())
    return code


def classify(prefixes, text):
    """What one instruction does, by column.

    An instruction that reads and writes memory is a load and a store; the return address that call
    and ret move is neither. branches are the conditional ones, jumps those through a register or
    memory.
    """
    mnemonic, _, rest = text.partition(" ")
    operands = [operand.strip() for operand in rest.split(",")]
    in_memory = [bool(MEMORY.search(operand)) for operand in operands]
    load = mnemonic == "pop"
    store = mnemonic == "push"
    if mnemonic not in ("lea", "nop") and not mnemonic.startswith("prefetch"):
        load |= any(in_memory[1:])
        if in_memory[0]:
            load |= not WRITES_FIRST_OPERAND.match(mnemonic)
            store |= not READS_FIRST_OPERAND.match(mnemonic)
    direct = re.fullmatch(r"(0x)?[0-9a-f]+", operands[0])
    return {
        "instructions": 1,
        "loads": int(load),
        "stores": int(store),
        "branches": int(mnemonic[0] == "j" and mnemonic != "jmp"),
        "jumps": int(mnemonic == "jmp" and not direct),
        "calls": int(mnemonic == "call"),
        "locks": int("lock " in prefixes or mnemonic == "xchg" and any(in_memory)),
    }


def trace(steps, victim):
    """Runs the victim. Returns its mappings and the calls: name, size, usable, addresses."""
    environment = {name: value for name, value in os.environ.items()
                   if not name.startswith("GOALLOC_") and name != "LD_PRELOAD"}
    output = subprocess.run([steps, victim], env=environment, stdout=subprocess.PIPE, text=True,
                            check=False)
    if output.returncode != 0:
        sys.exit("golden: the victim could not be traced")
    mappings, calls = [], []
    for line in output.stdout.splitlines():
        if line.startswith("map "):
            mappings.append(line.split(maxsplit=6)[1:])
        elif line.startswith("call "):
            _, name, size, usable = line.split()
            calls.append((name, int(size), int(usable), []))
        else:
            calls[-1][3].append(line)
    return mappings, calls


def print_trace(calls, base, code):
    """The instructions of the calls for one size, to see what the numbers are made of."""
    for name in LIMITS:
        print(f"{name} {TRACED_SIZE}:")
        addresses = next(call[3] for call in calls if call[:2] == (name, TRACED_SIZE))
        for address in addresses[:-1]:
            offset = int(address, 16) - base
            print(f"{offset:8x}  " + "".join(code.get(offset, ("", "outside the library"))))


def load_address(mappings, library):
    for mapping in mappings:
        if int(mapping[2], 16) == 0 and os.path.realpath(mapping[-1]) == library:
            return int(mapping[0].split("-")[0], 16)
    sys.exit(f"golden: {library} is not mapped in the victim")


def count(addresses, base, code):
    """The columns of one call; None when it left the library or did not return in time."""
    if addresses[-1] != "end":
        return None
    counts = dict.fromkeys(COLUMNS, 0)
    for address in addresses[:-1]:
        instruction = code.get(int(address, 16) - base)
        if instruction is None:
            return None
        for column, number in classify(*instruction).items():
            counts[column] += number
    return counts


def check_limits(name, size, counts):
    where = f"{name} of a block of {size} bytes"
    if counts is None:
        return [f"{where}: not the fast path: it leaves the library or takes too long"]
    faults = []
    if counts["instructions"] > LIMITS[name]:
        faults.append(f"{where}: {counts['instructions']} instructions, limit {LIMITS[name]}")
    if counts["calls"]:
        faults.append(f"{where}: calls a function")
    if counts["locks"]:
        faults.append(f"{where}: has a locked instruction")
    return faults


def format_row(name, size, cells):
    return f"{name:<12}{size:>6}" + "".join(f"{cell:>14}" for cell in cells)


def make_table(measured):
    """Rows for the named sizes, and the greatest number over all size classes."""
    rows = [format_row("call", "size", COLUMNS)]
    for call in LIMITS:
        of_call = [(size, counts) for name, size, counts in measured if name == call]
        for named in NAMED_SIZES:
            counts = next(counts for size, counts in of_call if size == named)
            rows.append(format_row(call, named, counts.values()))
        worst = [max(counts[column] for _, counts in of_call) for column in COLUMNS]
        rows.append(format_row(call, "worst", worst))
    return rows


def compare(path, compiler, table):
    if not os.path.exists(path):
        return [f"there is no {path}: build the target golden_update"]
    with open(path, encoding="ascii") as file:
        header, *expected = file.read().splitlines()
    if header != f"compiler {compiler}":
        print(f"golden: {path} is of {header}, this is {compiler}: only the limits are checked")
        return []
    if len(expected) != len(table):
        return [f"expected.txt has {len(expected)} lines, not {len(table)}"]
    return [f"expected: {old}\n        measured: {new}"
            for old, new in zip(expected, table) if old.split() != new.split()]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for option in ("--steps", "--victim", "--library", "--expected", "--compiler"):
        parser.add_argument(option, required=True)
    parser.add_argument("--update", action="store_true", help="rewrite the expected numbers")
    parser.add_argument("--trace", action="store_true",
                        help=f"print the instructions of the calls for {TRACED_SIZE} bytes")
    options = parser.parse_args()

    library = os.path.realpath(options.library)
    code = disassemble(library)
    mappings, calls = trace(options.steps, options.victim)
    base = load_address(mappings, library)
    if options.trace:
        print_trace(calls, base, code)
    measured = [(name, size, count(addresses, base, code)) for name, size, _, addresses in calls]

    classes = {usable for _, _, usable, _ in calls}
    faults = []
    if len(classes) < MIN_CLASSES or max(classes) < max(NAMED_SIZES):
        faults.append(f"only {len(classes)} size classes found, up to {max(classes)} bytes")
    for call in measured:
        faults += check_limits(*call)
    if all(counts for *_, counts in measured):
        table = make_table(measured)
        print("\n".join(table), f"{len(classes)} size classes", sep="\n")
        if not options.update:
            faults += compare(options.expected, options.compiler, table)
        elif not faults:
            with open(options.expected, "w", encoding="ascii") as file:
                print(f"compiler {options.compiler}", *table, sep="\n", file=file)
    faults = list(dict.fromkeys(faults))
    for fault in faults[:MAX_FAULTS]:
        print(f"golden: {fault}", file=sys.stderr)
    if len(faults) > MAX_FAULTS:
        print(f"golden: and {len(faults) - MAX_FAULTS} more", file=sys.stderr)
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
