/** A stream socket of this machine: how one talks to a container runtime. */

export interface Socket {
  /** Takes the bytes; what the kernel does not take at once is held and follows in order. */
  write(bytes: Uint8Array): void;
  /** Ends the connection at once; `closed` is still called. */
  close(): void;
}

export interface SocketHandlers {
  data(bytes: Uint8Array): void;
  /** Once, whoever ended it. */
  closed(): void;
}

/** Opens a socket. @throws Error whose `code` says why (ENOENT, ECONNREFUSED, EACCES …) */
export type ConnectUnix = (path: string, handlers: SocketHandlers) => Promise<Socket>;

export const connectUnix: ConnectUnix = async (path, handlers) => {
  let held: Uint8Array[] = [];
  let isClosed = false;
  const closed = () => {
    if (isClosed) return;
    isClosed = true;
    held = [];
    handlers.closed();
  };
  const flush = (to: { write(bytes: Uint8Array): number }) => {
    while (held.length > 0) {
      const bytes = held[0] as Uint8Array;
      const taken = to.write(bytes);
      if (taken < bytes.length) {
        if (taken > 0) held[0] = bytes.subarray(taken);
        return;
      }
      held.shift();
    }
  };
  const socket = await Bun.connect({
    unix: path,
    socket: {
      // The buffer belongs to the runtime and is used again: what is kept must be a copy.
      data: (_, bytes) => handlers.data(new Uint8Array(bytes)),
      drain: flush,
      close: closed,
      end: closed,
      error: closed,
    },
  });
  return {
    write: (bytes) => {
      if (isClosed) return;
      held.push(bytes);
      if (held.length === 1) flush(socket);
    },
    close: () => {
      socket.terminate();
      closed();
    },
  };
};
