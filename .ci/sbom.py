"""Write a bill of materials (CycloneDX) of all that is pinned; no network is needed."""

import re
import uuid

from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL
from pinned import ROOT, group_of, jars, lock_files, packages

SBOM = ROOT / "build/sbom.cdx.json"


def bill_of_materials() -> Bom:
    texts = "".join(path.read_text() for path in lock_files())
    bom = Bom(serial_number=uuid.uuid5(uuid.NAMESPACE_OID, texts))
    version = re.search(r'"(.+)"', (ROOT / "dedup_lib/version.py").read_text())[1]
    bom.metadata.component = Component(
        name="dedup-lib", version=version, type=ComponentType.LIBRARY, bom_ref="dedup-lib"
    )
    for (name, version), paths in packages().items():
        locks = [Property(name="dedup-lib:lock-file", value=path) for path in paths]
        bom.components.add(component(PackageURL("pypi", None, name, version), properties=locks))
    for name, version, digest in jars():
        hashes = [HashType(alg=HashAlgorithm.SHA_256, content=digest)]
        bom.components.add(
            component(PackageURL("maven", group_of(name), name, version), hashes=hashes)
        )
    bom.register_dependency(bom.metadata.component, bom.components)
    return bom


def component(url: PackageURL, **details: object) -> Component:
    return Component(
        name=url.name,
        version=url.version,
        group=url.namespace,
        type=ComponentType.LIBRARY,
        purl=url,
        bom_ref=url.to_string(),
        **details,
    )


if __name__ == "__main__":
    SBOM.parent.mkdir(exist_ok=True)
    SBOM.write_text(JsonV1Dot6(bill_of_materials()).output_as_string(indent=2) + "\n")
    print(f"audit: {SBOM.relative_to(ROOT)} lists what is pinned")
