/**
 * Log lines: klog-like text for people (`I1121 15:20:22.123000 message key="value"`), or one JSON object a line for machines.
 * A line whose level is off costs one comparison.
 */
import { writeSync } from "node:fs";
import type { Logger, LogLevel } from "./env.ts";

export type LogFormat = "text" | "json";

export interface LogOptions {
  readonly format: LogFormat;
  /** klog's `-v`: below 5 info, 5 to 7 debug, 8 and more trace. */
  readonly verbosity: number;
  /** Takes whole lines, each with its line end. Default: standard error, written once a turn of the event loop. */
  readonly write?: (lines: string) => void;
  readonly nowMs?: () => number;
}

const ranks: Readonly<Record<LogLevel, number>> = { trace: 10, debug: 20, info: 30, warn: 40, error: 50 };
const letters: Readonly<Record<LogLevel, string>> = { trace: "T", debug: "D", info: "I", warn: "W", error: "E" };
/** Characters of one value in a text line; objects can be whole manifests. */
const valueLengthMax = 4096;

/**
 * Manifests in the field pass `--v=4` and `--v=5` as their normal level, so detail starts above them.
 */
export function levelOfVerbosity(verbosity: number): LogLevel {
  if (verbosity >= 8) return "trace";
  return verbosity >= 5 ? "debug" : "info";
}

/** Asynchronous because the JSON writer is loaded only when it is asked for. */
export async function createLogger(options: LogOptions): Promise<Logger> {
  const level = levelOfVerbosity(options.verbosity);
  const write = options.write ?? standardError();
  const nowMs = options.nowMs ?? Date.now;
  return options.format === "json" ? jsonLogger(level, write, nowMs) : textLogger(level, write, nowMs);
}

/** For code that needs a logger and whose lines nobody wants. */
export const silentLogger: Logger = {
  trace() {},
  debug() {},
  info() {},
  warn() {},
  error() {},
  child: () => silentLogger,
  enabled: () => false,
};

export function textLogger(level: LogLevel, write: (line: string) => void, nowMs: () => number, bound = ""): Logger {
  const rank = ranks[level];
  const line = (at: LogLevel, fields: object, message: string) => {
    if (ranks[at] < rank) return;
    write(`${letters[at]}${stamp(nowMs())} ${message}${bound}${fieldsText(fields)}\n`);
  };
  return {
    trace: (fields, message) => line("trace", fields, message),
    debug: (fields, message) => line("debug", fields, message),
    info: (fields, message) => line("info", fields, message),
    warn: (fields, message) => line("warn", fields, message),
    error: (fields, message) => line("error", fields, message),
    child: (fields) => textLogger(level, write, nowMs, bound + fieldsText(fields)),
    enabled: (at) => ranks[at] >= rank,
  };
}

async function jsonLogger(level: LogLevel, write: (line: string) => void, nowMs: () => number): Promise<Logger> {
  const { pino } = await import("pino");
  const root = pino(
    {
      level,
      base: undefined,
      timestamp: () => `,"ts":${nowMs()}`,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { error: errorFields, err: errorFields },
    },
    { write },
  );
  type Pino = typeof root;
  const wrap = (logger: Pino): Logger => ({
    trace: (fields, message) => logger.trace(fields, message),
    debug: (fields, message) => logger.debug(fields, message),
    info: (fields, message) => logger.info(fields, message),
    warn: (fields, message) => logger.warn(fields, message),
    error: (fields, message) => logger.error(fields, message),
    child: (fields) => wrap(logger.child(fields) as Pino),
    enabled: (at) => ranks[at] >= ranks[level],
  });
  return wrap(root);
}

function errorFields(value: unknown): unknown {
  return value instanceof Error ? { name: value.name, message: value.message, stack: value.stack } : value;
}

/** "1121 15:20:22.123000": month, day and local time, as klog writes them; the clock gives milliseconds. */
function stamp(nowMs: number): string {
  const time = new Date(nowMs);
  const two = (value: number) => (value < 10 ? `0${value}` : `${value}`);
  const millis = String(time.getMilliseconds()).padStart(3, "0");
  return `${two(time.getMonth() + 1)}${two(time.getDate())} ${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}.${millis}000`;
}

function fieldsText(fields: object): string {
  let text = "";
  let stack = "";
  for (const [key, value] of Object.entries(fields)) {
    if (value === undefined) continue;
    if (value instanceof Error) {
      text += ` ${key}=${JSON.stringify(`${value.name}: ${value.message}`)}`;
      stack += stackText(value);
    } else text += ` ${key}=${valueText(value)}`;
  }
  return text + stack;
}

/** The frames below the line, indented: an unexpected error is only useful with its place. */
function stackText(error: Error): string {
  const frames = (error.stack ?? "").split("\n").filter((frame) => frame.trimStart().startsWith("at "));
  return frames.map((frame) => `\n    ${frame.trim()}`).join("");
}

function valueText(value: unknown): string {
  if (typeof value === "number" || typeof value === "boolean" || typeof value === "bigint") return String(value);
  let text: string;
  try {
    text = JSON.stringify(value) ?? String(value);
  } catch {
    text = JSON.stringify(String(value));
  }
  return text.length > valueLengthMax ? `${text.slice(0, valueLengthMax)}…` : text;
}

/** Gathers the lines of one turn into one write. What is still held goes out when the process exits. */
function standardError(): (line: string) => void {
  const heldLengthMax = 64 * 1024;
  let held = "";
  let scheduled = false;
  const flush = () => {
    scheduled = false;
    const text = held;
    held = "";
    writeFully(text);
  };
  process.on("exit", flush);
  return (line) => {
    held += line;
    if (held.length >= heldLengthMax) flush();
    else if (!scheduled) {
      scheduled = true;
      setImmediate(flush);
    }
  };
}

/** A pipe whose reader is slow answers EAGAIN: try again for a while, then let the lines go rather than the process. */
function writeFully(text: string): void {
  const triesMax = 1000;
  let bytes = Buffer.from(text);
  for (let tries = 0; bytes.length > 0 && tries < triesMax; tries += 1) {
    try {
      bytes = bytes.subarray(writeSync(2, bytes));
    } catch (error) {
      if ((error as { code?: string }).code !== "EAGAIN") return;
      Bun.sleepSync(1);
    }
  }
}
