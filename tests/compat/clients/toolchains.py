"""What builds and runs programs in other languages, and where the results are."""

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

from served import Server

COMPAT = Path(__file__).parent.parent
BUILD_S = 540  # with every download


class Toolchain:
    """One language's tools and the folder that they build."""

    def __init__(self, name: str, tools: tuple[str, ...], built: str, *command: str) -> None:
        self.name = name
        self.folder = COMPAT / name
        self._tools = tools
        self._built = self.folder / built
        self._command = command
        self._lock = threading.Lock()

    def missing(self) -> list[str]:
        """Its tools that are not at hand."""
        return [tool for tool in self._tools if shutil.which(tool) is None]

    def build(self) -> Path:
        """Build what is out of date, once; where the result is."""
        with self._lock:
            if not self._is_fresh():
                done = subprocess.run(
                    self._command, cwd=self.folder, capture_output=True, text=True, timeout=BUILD_S, check=False
                )
                assert done.returncode == 0, f"{self.name}: {done.stdout[-4000:]}{done.stderr[-4000:]}"
                self._built.touch()
        return self._built

    def _is_fresh(self) -> bool:
        kept = ("target", "node_modules")
        sources = [path for path in self.folder.rglob("*") if not set(path.parts) & set(kept) and path.is_file()]
        return self._built.exists() and self._built.stat().st_mtime > max(path.stat().st_mtime for path in sources)


JAVA = Toolchain(
    "java", ("java", "javac", "mvn"), "target/classpath", "mvn", "-q", "-B", "compile", "dependency:build-classpath"
)
OPENSEARCH = Toolchain(
    "opensearch", ("java", "javac", "mvn"), "target/classpath", "mvn", "-q", "-B", "compile", "dependency:build-classpath"
)  # fmt: skip
S3 = Toolchain(
    "s3", ("java", "javac", "mvn"), "target/classpath", "mvn", "-q", "-B", "compile", "dependency:build-classpath"
)
NODE = Toolchain(
    "node", ("node", "npm"), "node_modules/.package-lock.json",
    "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent",
)  # fmt: skip
# Its client is C++ with a libcurl of its own: AWS ships no binaries.
NODE_FUNCTIONS = Toolchain(
    "nodefunctions", ("node", "npm", "cmake", "autoconf", "libtoolize", "g++"),
    "node_modules/aws-lambda-ric/dist/rapid-client.node", "npm", "ci", "--no-audit", "--no-fund",
)  # fmt: skip
GO = Toolchain("go", ("go",), "target/compat", "go", "build", "-o", "target/compat", ".")
H2SPEC = Toolchain(
    "h2spec", ("go",), "target/h2spec", "go", "build", "-o", "target/h2spec", "github.com/summerwind/h2spec/cmd/h2spec"
)
_KCLPY = Path(sys.prefix) / "kclpy"  # a virtual environment of its own: its samples are no business of our linters
KCLPY = Toolchain(
    "kclpy", ("java",), str(_KCLPY / "pyvenv.cfg"),
    "sh", "-c", f"{sys.executable} -m venv {_KCLPY} && {_KCLPY}/bin/pip install --quiet --requirement requirements.txt",
)  # fmt: skip
TOOLCHAINS = {chain.name: chain for chain in (JAVA, NODE, NODE_FUNCTIONS, S3, GO, H2SPEC, KCLPY, OPENSEARCH)}


def environment(server: Server, *, tls: bool = False) -> dict[str, str]:
    """What a client needs to find the server, as a user would export it."""
    given = {name: os.environ[name] for name in ("PATH", "HOME", "JAVA_HOME") if name in os.environ}
    given |= {
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }
    given |= {"AWS_ENDPOINT_URL": server.url, "AWS_EC2_METADATA_DISABLED": "true"}
    if tls:
        assert server.tls_url is not None
        assert server.ca is not None
        given |= {"AWS_ENDPOINT_URL": server.tls_url, "AWS_CA_BUNDLE": server.ca, "NODE_EXTRA_CA_CERTS": server.ca}
    return given


def java(main: str, *arguments: str, trust: Path | None = None, options: tuple[str, ...] = ()) -> list[str]:
    """The command that runs one of our Java programs, trusting what is in a trust store."""
    words = ["java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", *options]
    words += ["-Dorg.slf4j.simpleLogger.defaultLogLevel=info", "-Dorg.slf4j.simpleLogger.showDateTime=true"]
    if trust is not None:
        words += [f"-Djavax.net.ssl.trustStore={trust}", "-Djavax.net.ssl.trustStorePassword=changeit"]
    classes = f"{JAVA.folder / 'target/classes'}:{JAVA.build().read_text().strip()}"
    return [*words, "-cp", classes, f"compat.{main}", *arguments]


def trust_store(server: Server, directory: Path, name: str = "trust.p12") -> Path:
    """The server's authority as Java wants it."""
    made = directory / name
    assert server.ca is not None
    command = ["keytool", "-importcert", "-noprompt", "-alias", "penstock", "-file", server.ca]
    subprocess.run([*command, "-keystore", str(made), "-storepass", "changeit"], check=True, capture_output=True)
    return made
