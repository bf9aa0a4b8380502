"""Makes the JSON schema of SPDX 3.0.1 from the Python classes that the SPDX project generates from its model.

The SPDX project renders its schema from its RDF model with a template of `shacl2code`. The model itself is in no
package of a registry, but the classes of `spdx-python-model` hold all that the template asks for. This rebuilds
the model from them, and has the same template render it. README.md says how to run it.
"""

import argparse
import copy
import json
import tempfile
from importlib.metadata import version

import jsonschema
from rdflib import BNode, Graph, Literal, URIRef
from rdflib.collection import Collection
from rdflib.namespace import OWL, RDF, RDFS, SH, XSD
from shacl2code.lang.common import OutputFile
from shacl2code.lang.jsonschema import JsonSchemaRender
from shacl2code.model import SHACL2CODE, Model
from shacl2code.urlcontext import ContextData, UrlContext
from spdx_python_model import v3_0_1 as spdx
from spdx_python_model.bindings.v3_0_1 import model as bindings

CONTEXT = "https://spdx.org/rdf/3.0.1/spdx-context.jsonld"

# What the schema says of itself.
COMMENT = (
    f"Rendered by shacl2code {version('shacl2code')} from a model that make.py rebuilt from the classes of "
    f"spdx-python-model {version('spdx-python-model')}. It isn't the file that the SPDX project publishes."
)

# As shacl2code's template of these classes has it, the other way round.
DATATYPES = {
    "StringProp": XSD.string,
    "AnyURIProp": XSD.anyURI,
    "DateTimeProp": XSD.dateTime,
    "DateTimeStampProp": XSD.dateTimeStamp,
    "IntegerProp": XSD.integer,
    "PositiveIntegerProp": XSD.positiveInteger,
    "NonNegativeIntegerProp": XSD.nonNegativeInteger,
    "BooleanProp": XSD.boolean,
    "FloatProp": XSD.decimal,
}


def own_properties(kind):
    """What a class adds to its parents."""
    inherited = set()
    for parent in kind.__bases__:
        inherited |= set(parent._OBJ_IRI_PROPS)
    return [p for iri, p in kind._OBJ_IRI_PROPS.items() if iri not in inherited]


def read_model():
    """The RDF model, and the terms of its JSON-LD context."""
    graph = Graph()
    terms = {"type": "@type", "spdxId": "@id"}
    kinds = set(bindings.SHACLObject.CLASSES.values())
    generic = {bindings.SHACLObject, bindings.SHACLExtensibleObject}
    for kind in sorted(kinds - generic, key=lambda kind: kind._TYPE):
        add_class(graph, terms, kind, generic)
    return graph, terms


def add_class(graph, terms, kind, generic):
    iri = URIRef(kind._TYPE)
    graph.add((iri, RDF.type, OWL.DeprecatedClass if kind.IS_DEPRECATED else OWL.Class))
    graph.add((iri, SH.nodeKind, SH[kind.NODE_KIND.name]))
    if kind._COMPACT_TYPE:
        terms[kind._COMPACT_TYPE] = str(iri)
    for parent in kind.__bases__:
        if parent not in generic:
            graph.add((iri, RDFS.subClassOf, URIRef(parent._TYPE)))
    if kind.ID_ALIAS:
        graph.add((iri, SHACL2CODE.idPropertyName, Literal(kind.ID_ALIAS)))
    if kind.IS_ABSTRACT:
        graph.add((iri, SHACL2CODE.isAbstract, Literal(True)))
    if issubclass(kind, bindings.SHACLExtensibleObject):
        graph.add((iri, SHACL2CODE.isExtensible, Literal(True)))
    for individual in kind.NAMED_INDIVIDUALS.values():
        graph.add((URIRef(individual), RDF.type, iri))
        graph.add((URIRef(individual), RDF.type, OWL.NamedIndividual))
    for prop in own_properties(kind):
        if prop.iri != "@id":
            add_property(graph, terms, iri, prop)


def add_property(graph, terms, iri, prop):
    shape, path = BNode(), URIRef(prop.iri)
    graph.add((iri, SH.property, shape))
    graph.add((shape, SH.path, path))
    if prop.deprecated:
        graph.add((path, RDF.type, OWL.DeprecatedProperty))
    if prop.min_count is not None:
        graph.add((shape, SH.minCount, Literal(prop.min_count)))
    kind = prop.reg()
    if isinstance(kind, bindings.ListProp):
        kind = kind.prop
        if prop.max_count is not None:
            graph.add((shape, SH.maxCount, Literal(prop.max_count)))
    else:
        graph.add((shape, SH.maxCount, Literal(1)))
    if kind.pattern:
        graph.add((shape, SH.pattern, Literal(kind.pattern)))
    term = {"@id": prop.iri}
    if isinstance(kind, bindings.EnumProp):
        values = [URIRef(value) for value in kind.iri_values()]
        members = BNode()
        Collection(graph, members, values)
        graph.add((shape, SH["in"], members))
        # Any range will do where the values are listed.
        graph.add((shape, SH.datatype, XSD.string))
        term |= {"@type": "@vocab", "@context": {"@vocab": vocabulary(kind)}}
    elif isinstance(kind, bindings.ObjectProp):
        graph.add((shape, SH["class"], URIRef(kind.cls._TYPE)))
        for value, compact in kind.context:
            terms[compact] = value
    else:
        graph.add((shape, SH.datatype, DATATYPES[type(kind).__name__]))
    if prop.compact:
        terms[prop.compact] = term


def vocabulary(kind):
    """What the values of an enumeration begin with."""
    found = {value.removesuffix(short) for value, short in kind.context}
    (prefix,) = found
    return prefix


def render(path):
    graph, terms = read_model()
    context = UrlContext([ContextData({"@context": terms}, CONTEXT)])
    arguments = argparse.Namespace(
        license="Apache-2.0",
        output=OutputFile(path),
        title="SPDX",
        # It isn't the schema of the official address.
        id=None,
        allow_elided_lists=False,
    )
    JsonSchemaRender(arguments).output(Model(graph, context))


def faults(document):
    """The document with one fault each, and what the fault is."""
    for at, element in enumerate(document["@graph"]):
        for key, value in element.items():
            if key in ("relationshipType", "completeness", "software_primaryPurpose"):
                yield f"{key} of {element['type']}", changed(document, at, key, "nonsense")
            elif key in ("from", "to", "creationInfo", "created", "createdBy"):
                yield f"no {key} in {element['type']}", changed(document, at, key, None)
            elif key in ("spdxId", "type"):
                yield f"no {key} in {element['type']}", changed(document, at, key, None)
        yield "a property that isn't one", changed(document, at, "relationshipTyp", "other")
        yield "a type that isn't one", changed(document, at, "type", "ai_Packages")


def changed(document, at, key, value):
    document = {**document, "@graph": list(document["@graph"])}
    element = copy.deepcopy(document["@graph"][at])
    if value is None:
        del element[key]
    else:
        element[key] = value
    document["@graph"][at] = element
    return document


def check(schema, path, most):
    """That a document is accepted, and isn't with any fault."""
    validator = jsonschema.Draft202012Validator(schema)
    with open(path, encoding="utf-8") as file:
        document = json.load(file)
    errors = [error.message[:200] for error in validator.iter_errors(document)]
    assert not errors, f"{path}: {errors}"
    kinds = {}
    for fault, wrong in faults(document):
        if kinds.setdefault(fault, 0) < most:
            kinds[fault] += 1
            small = {**wrong, "@graph": [e for e in wrong["@graph"] if e not in document["@graph"]]}
            assert not validator.is_valid(small), f"{path}: accepted in spite of {fault}"
    print(f"{path}: {len(document['@graph'])} elements; refused {sum(kinds.values())} with a fault")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("schema", help="the file to write")
    parser.add_argument("documents", nargs="*", help="SPDX documents that are valid")
    arguments = parser.parse_args()
    with tempfile.NamedTemporaryFile("r", suffix=".json") as file:
        render(file.name)
        schema = json.load(file)
    schema["$comment"] = COMMENT
    jsonschema.Draft202012Validator.check_schema(schema)
    with open(arguments.schema, "w", encoding="utf-8") as file:
        json.dump(schema, file, indent=1)
        file.write("\n")
    for path in arguments.documents:
        check(schema, path, most=3)


if __name__ == "__main__":
    main()
