"""The metadata of the moviepy releases, from PyPI."""

from packaging.specifiers import SpecifierSet
from packaging.version import Version

NEEDS = {
    "1.0.3": {"numpy": ">=1.17.3", "decorator": ">=4.0.2,<5.0", "imageio": ">=2.5,<3.0", "proglog": "<=1.0.0", "pillow": ""},
    "2.1.1": {"numpy": ">=1.25.0", "decorator": ">=4.0.2,<6.0", "imageio": ">=2.5,<3.0", "proglog": "<=1.0.0", "pillow": ">=9.2.0,<11.0"},
    "2.2.1": {"numpy": ">=1.25.0", "decorator": ">=4.0.2,<6.0", "imageio": ">=2.5,<3.0", "proglog": "<=1.0.0", "pillow": ">=9.2.0,<12.0"},
}
RELEASES = {
    "numpy": ["1.17.3", "1.23.5", "1.24.4", "1.25.0", "1.25.2", "1.26.4", "2.0.2", "2.1.3", "2.2.6", "2.3.5"],
    "decorator": ["4.0.2", "4.4.2", "5.0.9", "5.1.1", "5.2.1"],
    "imageio": ["2.5.0", "2.25.1", "2.31.6", "2.36.1", "2.37.0", "2.37.2"],
    "proglog": ["0.1.9", "0.1.10", "0.1.12"],
    "pillow": ["9.2.0", "9.5.0", "10.4.0", "11.0.0", "11.3.0"],
}


def candidates(requirement, name):
    exact = [spec.version for spec in requirement.specifier if spec.operator == "==" and "*" not in spec.version] if requirement else []
    versions = exact + RELEASES[name]
    return [version for version in versions if requirement is None or requirement.specifier.contains(version)]


def test_some_moviepy_can_be_installed_beside_the_pins(tools):
    declared = tools.requirements("video_worker")
    assert "moviepy" in declared
    possible = []
    for version, needs in NEEDS.items():
        # A release that is not in the table is treated like the nearest older one.
        exact = [spec.version for spec in declared["moviepy"].specifier if spec.operator == "=="]
        if exact and "*" not in exact[0]:
            nearest = max((known for known in NEEDS if Version(known) <= Version(exact[0])), key=Version, default=None)
            if version != nearest:
                continue
        elif not tools.allows(declared["moviepy"], version):
            continue
        if all(any(SpecifierSet(rule).contains(candidate) for candidate in candidates(declared.get(name), name)) for name, rule in needs.items()):
            possible.append(version)
    assert possible, "no moviepy fits the other pins"
