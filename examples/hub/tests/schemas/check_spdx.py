"""Reads SPDX 3.0.1 documents with the classes that the SPDX project generates from its model."""

import sys

from spdx_python_model import v3_0_1 as spdx

for path in sys.argv[1:]:
    objects = spdx.SHACLObjectSet()
    with open(path, "rb") as file:
        spdx.JSONLDDeserializer().read(file, objects)
    kinds = {}
    for item in objects.foreach():
        item_kind = type(item).__name__
        kinds[item_kind] = kinds.get(item_kind, 0) + 1
    missing = objects.link()
    assert not missing, f"{path}: nothing has these identifiers: {missing}"
    # Writing checks that required properties are there.
    with open("/dev/null", "wb") as nowhere:
        spdx.JSONLDSerializer().write(objects, nowhere)
    print(path, dict(sorted(kinds.items())))
