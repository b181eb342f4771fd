/** How the JavaScript runtime is set up for the long-running roles: options that it reads once, before any of our code runs. */

/**
 * The last tier of the compiler is for hot loops. A controller waits for the network, runs each of its thousand functions now and then, and
 * never earns back what compiling them once more costs: a fifth of the CPU time of a rollout, and 13 MB.
 */
const options: Readonly<Record<string, string>> = { BUN_JSC_useFTLJIT: "0" };

/**
 * Starts the program again in its own process with these options, where it is the compiled one and its environment does not say otherwise.
 * Returns when it has them already, or has to do without.
 */
export function adoptRuntimeOptions(): void {
  const missing = Object.entries(options).filter(([name]) => process.env[name] === undefined);
  if (missing.length === 0 || !import.meta.path.startsWith("/$bunfs/")) return;
  try {
    process.execve?.(process.execPath, [process.argv0, ...process.argv.slice(2)], { ...process.env, ...Object.fromEntries(missing) });
  } catch {
    // Slower, and right all the same.
  }
}
