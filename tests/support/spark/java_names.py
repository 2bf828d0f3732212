"""Python asks Java once what a name means there, and no more with each use of the name."""

from py4j.java_gateway import JavaClass, JavaMember, JavaPackage, JVMView


def remember_java_names() -> None:
    """Keep each class and method that Python finds in Java; their names mean the same all along."""
    for kind in (JVMView, JavaPackage, JavaClass):
        kind.__getattr__ = _remembering(kind.__getattr__)


def _remembering(find):
    def find_once(self, name):
        found = find(self, name)
        if isinstance(found, JavaClass | JavaMember | JavaPackage):
            self.__dict__[name] = found  # which Python looks at first
        return found

    return find_once
