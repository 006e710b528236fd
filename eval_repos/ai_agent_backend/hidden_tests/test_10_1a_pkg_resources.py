from importlib import metadata


def test_versions_without_setuptools(without, load):
    without("pkg_resources", "setuptools")
    test_imports = load("test_imports")
    assert test_imports.installed_version("httpx") == metadata.version("httpx")
    assert test_imports.installed_version("no-such-package-at-all") is None
