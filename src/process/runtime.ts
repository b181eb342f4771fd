/** How the JavaScript runtime is set up for the long-running roles: options that it reads once, before any of our code runs. */

export type Role = "manager" | "daemon";

// The heap may grow to 1.7 times what lives in it before it is collected, where it would be 2 times, or 3 times on a machine with more than
// 16 GB: a fifth less memory in a rollout, for one percent of its CPU time. Below 1.5 each collection is one of the whole heap.
const tightHeap = { BUN_JSC_heapGrowthMaxIncrease: "0.7", BUN_JSC_smallHeapGrowthFactor: "1.7" };

// Whenever the program waits, the allocator looks through all of its pages for holes that the system could have back, up to ten times a second:
// with 5,000 pods that was two thirds of the CPU time of rest. Every two seconds finds the same.
const unhurriedAllocator = { MIMALLOC_PURGE_HOLES_MIN_INTERVAL: "2000" };

const optionsOf: Readonly<Record<Role, Readonly<Record<string, string>>>> = {
  // The last tier of the compiler is for hot loops. A controller waits for the network, runs each of its thousand functions now and then, and
  // never earns back what compiling them once more costs: a fifth of the CPU time of a rollout, and 13 MB.
  manager: { BUN_JSC_useFTLJIT: "0", ...tightHeap, ...unhurriedAllocator },
  // A node agent does too little for any compiler: 7 MB after the start, 13 MB after some work. (Without the option's big sister, useJIT=0,
  // which would also take away the calls into the system's library.)
  daemon: { BUN_JSC_useBaselineJIT: "0", BUN_JSC_useDFGJIT: "0", BUN_JSC_useFTLJIT: "0", ...tightHeap },
};

/**
 * Starts the program again in its own process with these options, where it is the compiled one and its environment does not say otherwise.
 * Returns when it has them already, or has to do without.
 */
export function adoptRuntimeOptions(role: Role): void {
  const missing = Object.entries(optionsOf[role]).filter(([name]) => process.env[name] === undefined);
  if (missing.length === 0 || !import.meta.path.startsWith("/$bunfs/")) return;
  try {
    process.execve?.(process.execPath, [process.argv0, ...process.argv.slice(2)], { ...process.env, ...Object.fromEntries(missing) });
  } catch {
    // Slower, and right all the same.
  }
}
