/**
 * Two listeners may share a port (SO_REUSEPORT), and the kernel then deals new connections to both. Whoever wants to retire the older
 * one must first have the newcomers go to the newer one only: what still waits in a listener's queue when it closes is reset.
 */
import { FFIType, ptr } from "bun:ffi";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { cFunctions } from "./libc.ts";

const solSocket = 1;
const soAttachReuseportCbpf = 51;
/** BPF_RET | BPF_K: the program is the one constant it returns. */
const bpfReturnConstant = 0x06;
const listening = "0A";

type SetSocketOption = (fd: number, level: number, name: number, value: ReturnType<typeof ptr>, length: number) => number;
let setSocketOption: SetSocketOption | null | undefined;

/** Gives new connections on `port` to the `index`-th of this process's listeners, counted in the order of their making. */
export type Steer = (port: number, index: number) => boolean;

/**
 * An index beyond the last listener means: any of them. The kernel fills the gap of a listener that closes with the last one.
 * @returns false where the system cannot do it; connections are then dealt to all listeners, as before
 */
export const steerConnections: Steer = (port, index) => {
  if (process.platform !== "linux") return false;
  try {
    const fd = listenerFd(port);
    const set = fd === undefined ? undefined : socketOption();
    if (fd === undefined || !set) return false;
    const instruction = new Uint8Array(8);
    const code = new DataView(instruction.buffer);
    code.setUint16(0, bpfReturnConstant, true);
    code.setUint32(4, index, true);
    const program = new Uint8Array(16);
    const header = new DataView(program.buffer);
    header.setUint16(0, 1, true);
    header.setBigUint64(8, BigInt(ptr(instruction)), true);
    return set(fd, solSocket, soAttachReuseportCbpf, ptr(program), program.byteLength) === 0;
  } catch {
    return false;
  }
};

function socketOption(): SetSocketOption | null {
  if (setSocketOption === undefined) {
    const args = [FFIType.i32, FFIType.i32, FFIType.i32, FFIType.ptr, FFIType.u32] as const;
    setSocketOption = cFunctions({ setsockopt: { args, returns: FFIType.i32 } })?.setsockopt ?? null;
  }
  return setSocketOption;
}

/** The program belongs to the whole group of listeners, so any of them will do. */
function listenerFd(port: number): number | undefined {
  const inodes = listenerInodes(port);
  for (const name of readdirSync("/proc/self/fd")) {
    const inode = /^socket:\[(\d+)\]$/.exec(linkTarget(`/proc/self/fd/${name}`))?.[1];
    if (inode !== undefined && inodes.has(inode)) return Number(name);
  }
  return undefined;
}

function listenerInodes(port: number): Set<string> {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const inodes = new Set<string>();
  for (const table of ["/proc/self/net/tcp", "/proc/self/net/tcp6"]) {
    for (const line of fileText(table).split("\n")) {
      const columns = line.trim().split(/\s+/);
      if (columns[1]?.endsWith(suffix) && columns[3] === listening && columns[9]) inodes.add(columns[9]);
    }
  }
  return inodes;
}

function linkTarget(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}

function fileText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
