/** How a process is asked to stop: the first signal stops it in order, the second at once. */

/** @returns a signal that is aborted by SIGTERM or SIGINT; a second signal ends the process without waiting */
export function stopOnSignals(): { readonly stopped: AbortSignal; stop(): void } {
  const controller = new AbortController();
  const asked = () => {
    if (controller.signal.aborted) process.exit(1);
    controller.abort();
  };
  process.on("SIGTERM", asked);
  process.on("SIGINT", asked);
  return { stopped: controller.signal, stop: () => controller.abort() };
}
