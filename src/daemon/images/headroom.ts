/**
 * Whether the disk has room for another image. A pull onto a full disk fails late, and takes others along: the kubelet evicts pods and
 * deletes the images that were just pulled.
 */
import { statfsSync } from "node:fs";
import type { ImageService } from "../cri/client.ts";

export interface Disk {
  readonly freeBytes: number;
  readonly totalBytes: number;
}

/** undefined: there is no such path, or it cannot be asked. */
export type StatDisk = (path: string) => Disk | undefined;

export const statDisk: StatDisk = (path) => {
  try {
    const { bsize, bavail, blocks } = statfsSync(path);
    return blocks > 0 ? { freeBytes: bavail * bsize, totalBytes: blocks * bsize } : undefined;
  } catch {
    return undefined;
  }
};

/**
 * @param percentMin of the disk that must be free; 0 or less: whatever is
 * @returns why an image must not be pulled now; undefined: it may, or nobody knows
 */
export async function headroomProblem(images: ImageService, percentMin: number, stat: StatDisk = statDisk): Promise<string | undefined> {
  if (percentMin <= 0) return undefined;
  const told = await images.imageFsInfo();
  if (!told.ok) return undefined;
  for (const { fsId, usedBytes } of told.value) {
    const mountpoint = fsId?.mountpoint ?? "";
    // In a container the mount point is not there; its own root, an overlay, tells of the disk below, which is that of the images.
    const disk = (mountpoint === "" ? undefined : stat(mountpoint)) ?? stat("/");
    if (disk === undefined || (usedBytes?.value ?? 0) > disk.totalBytes) continue;
    const percent = (disk.freeBytes / disk.totalBytes) * 100;
    if (percent < percentMin)
      return `not enough room on the image disk ${mountpoint}: ${sizeText(disk.freeBytes)} of ${sizeText(disk.totalBytes)} are free (${percent.toFixed(1)}%), ${percentMin}% must be (--image-disk-free-percent-min)`;
  }
  return undefined;
}

function sizeText(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const step = Math.min(Math.max(Math.floor(Math.log2(Math.max(bytes, 1)) / 10), 0), units.length - 1);
  return `${(bytes / 1024 ** step).toFixed(step === 0 ? 0 : 1)} ${units[step]}`;
}
