"""Writes model.safetensors and its signature, signature.safetensors, from the documentation alone.

Python 3.11, numpy 2.4.6:  python3 make.py
"""

import json
import math
import struct
from fractions import Fraction

import numpy as np

MASK = (1 << 64) - 1
KEY = 0x0123456789ABCDEF
BUCKETS = 16


def mix(z):
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & MASK
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB & MASK
    return z ^ (z >> 31)


# Sketches.


def row_seed(row):
    return mix(KEY + (row + 1) * 0x9E3779B97F4A7C15 & MASK)


def signs(seed, block):
    return mix(seed + (block + 1) * 0xD1B54A32D192ED03 & MASK)


def is_minus(seed, column):
    return signs(seed, column // 64) >> (column % 64) & 1


def is_weight(shape):
    long = sum(length > 1 for length in shape)
    return 0 not in shape and (long >= 2 or math.prod(shape) >= 1024)


def row_width(shape):
    length, long = math.prod(shape), [n for n in shape if n > 1]
    if len(long) > 1:
        return max(length // long[0], 1)
    return 64 if is_weight(shape) else max(length, 1)


def group_height(rows):
    return 1 << (rows // 16).bit_length() - 1 if rows >= 16 else 1


def in_units(numbers):
    """Single precision in units of a power of two, and its exponent."""
    largest = max((abs(x) for x in numbers), default=0.0)
    exponent = math.frexp(largest)[1] - 1 if largest > 0 else 0
    return [np.float32(math.ldexp(x, -exponent)) for x in numbers], exponent


def sketch(values, shape, buckets):
    """Squared norms, the exponent, and buckets; all sums in the order of values."""
    width = row_width(shape)
    height = group_height(-(-len(values) // width))
    norms, sums = [], []
    for start in range(0, len(values), height * width):
        squares, bucket = [0.0] * 16, [0.0] * buckets
        group = values[start : start + height * width]
        for first in range(0, len(group), width):
            seed = row_seed((start + first) // width)
            of_row = [0.0] * buckets
            for column, value in enumerate(group[first : first + width]):
                of_row[column % buckets] += -value if is_minus(seed, column) else value
                squares[column % 16] += value * value
            for place in range(buckets):
                bucket[(place + seed) % buckets] += of_row[place]
        total = 0.0
        for square in squares:
            total += square
        norms.append(total)
        sums += bucket
    numbers, exponent = in_units(sums)
    return norms, exponent, numbers


def row_sample(values, shape):
    width = row_width(shape)
    stride = max(group_height(-(-len(values) // width)) // 2, 1)
    seed, numbers = mix(KEY), [0.0] * 512
    for index, value in enumerate(values):
        row, column = divmod(index, width)
        if row % stride == 0 and row // stride < 32:
            place = row // stride * 16 + column % 16
            numbers[place] += -value if is_minus(seed, column) else value
    return in_units(numbers)[0]


def sampled_values(values, shape):
    """Two values of each group of rows, in single precision."""
    width = row_width(shape)
    size = group_height(-(-len(values) // width)) * width
    starts = range(0, len(values), size)
    positions = {start + signs(row_seed(start // size), i) % size for start in starts for i in (0, 1)}
    largest = float(np.finfo(np.float32).max)
    return [max(-largest, min(largest, values[at])) for at in sorted(positions) if at < len(values)]


# Digests.

KEYS = [mix((i + 1) * 0x9E3779B97F4A7C15 & MASK) >> 32 for i in range(1024 + 32)]


def bits_of(value):
    return struct.unpack("<I", struct.pack("<f", value + np.float32(0)))[0]


def nh(block, which):
    """The hash NH of up to 1024 words, zeros beyond their end."""
    total = 0
    for start in range(0, len(block), 32):
        for lane in range(16):
            front, back = start + lane, start + lane + 16
            a = block[front] + KEYS[front + 32 * which] & 0xFFFFFFFF
            b = block[back] + KEYS[back + 32 * which] & 0xFFFFFFFF
            total += a * b
    return total & MASK


def block_hash(values, number, which):
    words = [bits_of(value) for value in values]
    words += [0] * (-len(words) % 32)
    return mix(nh(words, which) ^ mix(2 * number + which + 1))


def to_bfloat(value):
    bits = struct.unpack("<I", struct.pack("<f", value))[0]
    bits = bits + 0x7FFF + (bits >> 16 & 1) & 0xFFFF0000
    return np.frombuffer(struct.pack("<I", bits), "<f4")[0]


def to_small(value):
    """To a float of four significant bits."""
    fraction, exponent = math.frexp(value)
    return math.ldexp(round(fraction * 16), exponent - 4)


def to_half(value):
    return np.float32(np.float16(value)) if abs(value) < 65520 else value


def digests(values):
    with np.errstate(over="ignore"):
        singles = [np.float32(value) for value in values]
    rest = rest_of_sample = 0
    for place, (value, single) in enumerate(zip(values, singles)):
        left = value - float(single) if np.isfinite(single) else value
        if left != 0.0:
            left = struct.unpack("<Q", struct.pack("<d", left))[0]
            hashed = mix(left ^ mix(place + 1))
            rest += hashed
            rest_of_sample += hashed if place // 1024 % 16 == 0 else 0
    digest, sample = [0, 0], [0, 0, 0]
    for number, start in enumerate(range(0, len(values), 1024)):
        block = singles[start : start + 1024]
        for which in (0, 1):
            digest[which] += block_hash(block, number, which)
        if number % 16 == 0:
            sample[0] += block_hash(block, number, 0)
            sample[1] += block_hash([to_bfloat(x) for x in block], number, 0)
            sample[2] += block_hash([to_half(x) for x in block], number, 0)
    length = mix(len(values))
    first, second = (mix(word & MASK ^ length) for word in digest)
    rest &= MASK
    exact = sample[0] + rest_of_sample & MASK
    return [first + rest & MASK, second ^ rest, exact] + [word & MASK for word in sample]


# Moments and profile.


def moments(values):
    """Extremes, both parts of the mean and central sums, rounded from exact ones."""
    if not values:
        return [0.0] * 7
    low, high = min(values), max(values)
    exponent = math.frexp(high / 2 - low / 2)[1] - 1 if low < high else 0
    unit = Fraction(2) ** (240 * max(-4, min(4, (exponent + 120) // 240)))
    x = [Fraction(value) / unit for value in values]
    mean = sum(x) / len(x)
    central = [float(sum((v - mean) ** power for v in x)) for power in (2, 3, 4)]
    return [low + 0.0, high + 0.0, float(mean), float(mean - Fraction(float(mean)))] + central


def profile(values, has_rows, has_values):
    """Flags, zeros, the number of levels and their gap."""
    with np.errstate(over="ignore"):
        single = all(float(np.float32(value)) == value for value in values)
        half = single and all(float(np.float16(value)) == value for value in values)
    bfloat = single and all(to_bfloat(np.float32(value)) == value for value in values)
    levels = sorted({value + 0.0 for value in values})
    flags = single | bfloat << 1 | half << 2 | has_rows << 4 | has_values << 6
    zeros = values.count(0.0)
    if len(levels) > 256:
        return flags, zeros, 0, 0.0
    gap = min((b - a for a, b in zip(levels, levels[1:])), default=0.0)
    return flags | 8, zeros, len(levels), gap


# Rounding.

COMMON = ["even", "symmetric 127", "floats 2", "floats 3", "floats 4"]
KINDS = [(64, COMMON), (32, COMMON), (16, COMMON), (64, ["few"]), (32, ["few"]), ("column", COMMON),
         (8, ["even", "floats 3", "floats 4"]), (4, ["symmetric 7", "symmetric 127"])]


def rounded(number):
    return math.copysign(math.floor(abs(number) + 0.5), number)


def log_chance(tolerance):
    return math.log(min(2.0 * tolerance, 1.0))


def tiles(values, shape):
    """Up to sixteen tiles of 16 rows and 64 columns, as lists of rows."""
    width = row_width(shape)
    rows = -(-len(values) // width)
    down, across = -(-rows // 16), max(width // 64, 1)
    spread = lambda tile, places: places // 16 * tile + places % 16 * tile // 16
    places = [(spread(tile, down), spread(tile, across)) for tile in range(16)]
    for place, (row, column) in enumerate(places):
        if place and places[place - 1] == (row, column):
            continue
        lines = range(row * 16, min(rows, row * 16 + 16))
        ends = [min(line * width + min(width, column * 64 + 64), len(values)) for line in lines]
        parts = [values[line * width + column * 64 : end] for line, end in zip(lines, ends)]
        yield [[float(np.float32(value)) for value in part] for part in parts]


def windows(tile, size, every):
    if size != "column":
        for row in tile[::every]:
            yield from (row[at : at + size] for at in range(0, len(row) - size + 1, size))
    elif len(tile) == 16:
        yield from ([row[at] for row in tile] for at in range(min(map(len, tile))))


def on_line(start, end, gap, distinct, precision, count):
    """Evenly spaced levels: the logarithm of chance, and what rounding moved."""
    relative, absolute = precision
    total = 0.0
    for value in distinct:
        share = abs((value - start) / (end - start))
        size = abs(value) + abs(start) + share * (abs(end) + abs(start))
        tolerance = (size * relative + 4.0 * absolute) / gap
        place = (value - start) / gap
        if abs(place - rounded(place)) > tolerance:
            return None
        total += log_chance(tolerance) if value not in (start, end) else 0.0
    return total, count * gap * gap / 12.0


def as_floats(values, distinct, unit, bits, precision):
    relative, absolute = precision
    first, least, total = float(1 << bits - 1), 1 << 30, 0.0
    power_of = lambda x: math.floor(math.log2(abs(x) / unit / first * (1.0 + 2.0 * relative)))
    is_normal = lambda x: x != 0.0 and power_of(x) > -15
    for value in filter(is_normal, distinct):
        gap = unit * 2.0 ** power_of(value)
        whole = rounded(abs(value) / gap)
        tolerance = (2.0 * abs(value) * relative + 4.0 * absolute) / gap
        if abs(abs(value) / gap - whole) > tolerance:
            return None
        total += log_chance(tolerance)
        least = min(least, power_of(value) + (int(whole) & -int(whole)).bit_length() - 1)
    moved = 0.0
    for value in values:
        power = power_of(value) if is_normal(value) else -15
        gap = unit * 2.0 ** max(power, least)
        moved += gap * gap / (16.0 if rounded(abs(value) / gap) == first and power > least else 12.0)
    return total, moved - (unit * unit / 12.0 if bits == 2 else 0.0)


def fit(kind, values, precision):
    """None, or the logarithm of the chance that it isn't so, and what rounding moved."""
    distinct = sorted({value + 0.0 for value in values})
    low, high = distinct[0], distinct[-1]
    if low == high:
        return 0.0, 0.0
    top, count = max(abs(low), abs(high)), float(len(values))
    kind, _, number = kind.partition(" ")
    best_of = lambda found, tries: found and (min(found[0] + math.log(tries), 0.0), found[1])
    if kind == "even":
        for levels in range(1, 256):
            found = on_line(low, high, (high - low) / levels, distinct, precision, count)
            if found:
                return best_of(found, 256)
        return None
    if kind == "symmetric":
        end = high if top == high else low
        return on_line(0.0, end, top / int(number), distinct, precision, count - 1.0)
    if kind == "floats":
        tries = 1 << int(number) - 1
        for first in range(tries, 2 * tries):
            found = as_floats(values, distinct, top / first, int(number), precision)
            if found:
                return best_of(found, tries)
        return None
    nonzero = sum(value != 0.0 for value in values)
    if nonzero < 24:
        return 0.0, 0.0
    if len(distinct) > 16:
        return None
    moved = 0.0
    for value in values:
        at = distinct.index(value)
        below = (value - distinct[at - 1]) / 2.0 if at else 0.0
        above = (distinct[at + 1] - value) / 2.0 if at + 1 < len(distinct) else 0.0
        moved += (below**3 + above**3) / (3.0 * (below + above))
    return max(nonzero - len(distinct), 0) * math.log(1.0 / 8.0), moved


def moved_by(kind, groups, precision):
    chance, moved, telling, total = 0.0, 0.0, 0, 0
    for group in groups:
        found = fit(kind, group, precision)
        if found is None:
            return None
        if found[0] < -7.0:
            chance, moved, telling = chance + found[0], moved + found[1], telling + len(group)
        total += len(group) if found[1] > 0.0 else 0
        if total >= 8 * len(group) and 2 * telling < total:
            return None
    return moved / telling if chance < -40.0 and 2 * telling >= total else None


def rounding(values, shape, flags):
    """The mean square by which rounding moved a value; 0 if unknown."""
    if len(values) < 1024:
        return 0.0
    precision = (2.0**-8, 0.0) if flags & 2 else (2.0**-11, 2.0**-24) if flags & 4 else (2.0**-22, 0.0)
    parts = list(tiles(values, shape))
    for size, kinds in KINDS:
        groups = lambda every: [group for tile in parts for group in windows(tile, size, every)]
        moved = lambda kind, every: moved_by(kind, groups(every), precision)
        found = [moved(kind, 4) and (moved(kind, 1) or moved(kind, 4)) for kind in kinds]
        if any(found):
            return max(moved for moved in found if moved)
    return 0.0


# Files.


def write(path, metadata, arrays):
    header, data = {"__metadata__": metadata}, b""
    for name, dtype, shape, part in arrays:
        begin = len(data)
        data += part
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [begin, len(data)]}
    header = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    header += b" " * (-len(header) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(header)) + header + data)


def packed(kind, numbers):
    return np.array(list(numbers), dtype=kind).tobytes()


def tensors():
    """Name, stored type, shape and values, sorted by name."""
    draw = np.random.Generator(np.random.PCG64(7)).standard_normal
    wide = [float(x) for x in draw(36 * 3)]
    wide[5], wide[6], wide[7] = 1e39, -3e39, 1e-300
    single = lambda count: [float(np.float32(x)) for x in draw(count)]
    bfloat = [float(to_bfloat(np.float32(x))) for x in draw(136 * 130)]
    broken = single(20)
    broken[7] = math.nan
    yield "bf16", "BF16", [136, 130], bfloat
    yield "broken", "F32", [4, 5], broken
    yield "empty", "F32", [0, 5], []
    yield "flat", "F32", [2000], single(2000)
    yield "f32", "F32", [70, 9], single(630)
    yield "levels", "F32", [20, 3], [x % 5 / 4 - 0.5 for x in range(60)]
    yield "norm", "F32", [33], single(33)
    codes = [float(round(x * 30)) for x in draw(40 * 64)]
    small = [float(to_small(np.float32(x))) for x in draw(32 * 48)]
    scales = [float(np.float32(abs(x) + 0.1)) for x in draw(40)]
    yield "rows", "F32", [40, 64], [float(np.float32(x * scales[at // 64])) for at, x in enumerate(codes)]
    yield "scalar", "F64", [], [0.1]
    yield "small", "F32", [32, 48], [x * 0.75 for x in small]
    yield "tiny", "F64", [40, 4], [float(x) * 1e-140 for x in draw(160)]
    yield "wide", "F64", [36, 3], wide
    yield "zeros", "F32", [3, 1, 3], [-0.0] * 9


def stored(dtype, values):
    if dtype == "BF16":
        return (packed("<f4", values) if not values else
                (np.array(values, "<f4").view("<u4") >> 16).astype("<u2").tobytes())
    return packed({"F32": "<f4", "F64": "<f8"}[dtype], values)


def main():
    model = sorted(tensors())
    arrays = [(n, dtype, shape, stored(dtype, values)) for n, dtype, shape, values in model]
    write("model.safetensors", {"made_by": "make.py"}, arrays)

    has_enough = lambda shape: math.prod(shape) > 31 * row_width(shape)
    largest = [t for t in model if is_weight(t[2]) and has_enough(t[2])]
    largest.sort(key=lambda t: -math.prod(t[2]))
    sampled = [t[0] for t in largest[:8]]
    kept = [t for t in model if all(math.isfinite(x) for x in t[3])]
    sketches = [sketch(t[3], t[2], BUCKETS if is_weight(t[2]) else 8) for t in kept]
    profiles = [profile(t[3], t[0] in sampled, is_weight(t[2])) for t in kept]
    roundings = [rounding(t[3], t[2], p[0]) for t, p in zip(kept, profiles)]
    sampled_of = [x for t in kept if is_weight(t[2]) for x in sampled_values(t[3], t[2])]
    rows = [row_sample(t[3], t[2]) for t in kept if t[0] in sampled]
    norms = [norm for sketch in sketches for norm in sketch[0]]
    buckets = [bucket for sketch in sketches for bucket in sketch[2]]
    count, compact = len(kept), {"separators": (",", ":")}
    metadata = {
        "buckets": str(BUCKETS),
        "format": "mother.signature",
        "key": str(KEY),
        "name": "golden",
        "skipped": json.dumps([{"layer": "broken", "reason": "contains NaN at index 7"}], **compact),
        "tensors": json.dumps([{"name": t[0], "shape": t[2], "dtype": t[1]} for t in kept], **compact),
        "version": "4",
    }
    arrays = [
        ("digests", "U64", [count, 6], packed("<u8", [w for t in kept for w in digests(t[3])])),
        ("zeros", "U64", [count], packed("<u8", [zeros for _, zeros, _, _ in profiles])),
        ("level_gaps", "F64", [count], packed("<f8", [gap for _, _, _, gap in profiles])),
        ("roundings", "F64", [count], packed("<f8", roundings)),
        ("moments", "F64", [count, 7], packed("<f8", [m for t in kept for m in moments(t[3])])),
        ("squared_norms", "F64", [len(norms)], packed("<f8", norms)),
        ("buckets", "F32", [len(buckets)], packed("<f4", buckets)),
        ("rows", "F32", [len(rows), 32, 16], packed("<f4", [x for row in rows for x in row])),
        ("values", "F32", [len(sampled_of)], packed("<f4", sampled_of)),
        ("exponents", "I32", [count], packed("<i4", [exponent for _, exponent, _ in sketches])),
        ("level_counts", "U16", [count], packed("<u2", [levels for _, _, levels, _ in profiles])),
        ("flags", "U8", [count], packed("u1", [flags for flags, _, _, _ in profiles])),
    ]
    write("signature.safetensors", metadata, arrays)


main()
