/**
 * A base image equivalent to "distroless base", from Debian's own packages: libc6, ca-certificates, tzdata, and the users that programs expect. No
 * shell, no package manager. For places where no distroless image can be pulled; it is named `kruiser-debian-base` so that nobody takes it for one.
 */
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Architecture, buildah, buildahQuiet } from "./buildah.ts";
import { must } from "./command.ts";

export const debianBaseName = "localhost/kruiser-debian-base";
const packages = ["libc6", "ca-certificates", "tzdata"] as const;

/** One file a package, as distroless images have them. */
export const packageRecords = "var/lib/dpkg/status.d";

/** Debian's sources of this machine, and nothing else that may be configured besides them. */
const sourceLists = ["/etc/apt/sources.list.d/debian.sources", "/etc/apt/sources.list"];

/** What nobody reads in a container: character set converters, manuals, the tools of packages, what is only for a shell. */
const needless = [
  "sbin",
  "usr/bin",
  "usr/sbin",
  "usr/lib/*/gconv",
  "usr/lib/*/audit",
  "usr/share/man",
  "usr/share/lintian",
  "usr/share/doc/*/changelog*",
  "usr/share/doc/*/NEWS*",
  "usr/share/doc/*/README*",
  "usr/share/zoneinfo/right",
  "usr/share/zoneinfo/posix",
  "etc/ca-certificates",
  "var",
];

/** @returns a reference by digest. @throws Error when Debian's packages cannot be had */
export async function debianBase(workDir: string, architecture: Architecture, epoch: number): Promise<string> {
  const dir = join(workDir, architecture);
  rmSync(dir, { recursive: true, force: true });
  const root = join(dir, "root");
  mkdirSync(root, { recursive: true });
  const archives = await download(join(workDir, `apt-${architecture}`), architecture);
  for (const archive of archives) await must(["dpkg-deb", "-x", archive, root]);
  finish(root);
  for (const archive of archives) await recordPackage(archive, root);
  const container = (await buildah(["from", "--arch", architecture, "scratch"])).trim();
  try {
    await buildah(["add", "--quiet", container, root, "/"]);
    await buildah([
      "config",
      "--os=linux",
      `--arch=${architecture}`,
      "--user=65532:65532",
      "--workingdir=/",
      "--env=PATH=/",
      "--env=SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt",
      "--label=org.opencontainers.image.title=kruiser-debian-base",
      `--label=org.opencontainers.image.description=${archives
        .map((path) =>
          path
            .split("/")
            .at(-1)
            ?.replace(/\.deb$/, ""),
        )
        .join(" ")}`,
      container,
    ]);
    const name = `${debianBaseName}:${architecture}`;
    await buildah(["commit", "--quiet", "--format=oci", `--timestamp=${epoch}`, container, name]);
    const digest = (await buildah(["inspect", "--type=image", "--format={{.FromImageDigest}}", name])).trim();
    return `${debianBaseName}@${digest}`;
  } finally {
    await buildahQuiet(["rm", container]);
    rmSync(dir, { recursive: true, force: true });
  }
}

async function download(dir: string, architecture: Architecture): Promise<string[]> {
  const list = sourceLists.find((path) => existsSync(path));
  if (!list || Bun.which("apt-get") === null)
    throw new Error(
      "the base is made from Debian's packages, and this is no Debian: give a distroless image with --base=NAME@sha256:DIGEST",
    );
  const archives = join(dir, "archives");
  rmSync(archives, { recursive: true, force: true });
  for (const sub of ["archives/partial", "lists/partial", "cache/archives/partial"]) mkdirSync(join(dir, sub), { recursive: true });
  writeFileSync(join(dir, "status"), "");
  // A state of its own: the machine's packages and architectures are not touched.
  const options = [
    `APT::Architecture=${architecture}`,
    `APT::Architectures=${architecture}`,
    `Dir::Etc::SourceList=${list}`,
    "Dir::Etc::SourceParts=-",
    `Dir::State::Lists=${dir}/lists`,
    `Dir::State::status=${dir}/status`,
    `Dir::Cache=${dir}/cache`,
    "APT::Sandbox::User=root",
    "Acquire::Languages=none",
  ].flatMap((option) => ["-o", option]);
  await must(["apt-get", ...options, "update", "-qq"]);
  await must(["apt-get", ...options, "download", "-qq", ...packages], { cwd: archives });
  return readdirSync(archives)
    .filter((name) => name.endsWith(".deb"))
    .sort()
    .map((name) => join(archives, name));
}

/** Where scanners look for what a distroless image holds. */
async function recordPackage(archive: string, root: string): Promise<void> {
  const control = await must(["dpkg-deb", "-f", archive]);
  const name = /^Package: (.*)$/m.exec(control)?.[1] ?? "unknown";
  writeFileSync(join(root, packageRecords, name), control);
}

function finish(root: string): void {
  const certificates = [...new Bun.Glob("usr/share/ca-certificates/**/*.crt").scanSync({ cwd: root })].sort();
  const bundle = certificates.map((path) => `${readFileSync(join(root, path), "utf8").trim()}\n`).join("");
  for (const pattern of needless)
    for (const path of new Bun.Glob(pattern).scanSync({ cwd: root, onlyFiles: false, dot: true }))
      rmSync(join(root, path), { recursive: true, force: true });
  rmSync(join(root, "usr/share/ca-certificates"), { recursive: true, force: true });
  for (const dir of ["etc/ssl/certs", packageRecords, "var/lib/kruise", "proc", "sys", "dev", "run"])
    mkdirSync(join(root, dir), { recursive: true });
  // For manifests that mount nothing there, whatever user they choose.
  for (const dir of ["tmp", "log"]) {
    mkdirSync(join(root, dir));
    chmodSync(join(root, dir), 0o1777);
  }
  const write = (path: string, text: string) => writeFileSync(join(root, path), text);
  write("etc/ssl/certs/ca-certificates.crt", bundle);
  write(
    "etc/passwd",
    "root:x:0:0:root:/root:/sbin/nologin\nnobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n",
  );
  write("etc/group", "root:x:0:\nnogroup:x:65534:\nnonroot:x:65532:\n");
  write("etc/nsswitch.conf", "hosts: files dns\n");
  write(
    "etc/os-release",
    'PRETTY_NAME="kruiser-debian-base (packages of Debian GNU/Linux)"\nNAME="Debian GNU/Linux"\nID=debian\nVARIANT_ID=kruiser-debian-base\n',
  );
}
