/** The logging flags of klog and component-base: manifests pass them, so all are accepted; `--v` and `--logging-format` have an effect. */
import type { Flag } from "./flags.ts";

const ignored = (type: Flag["type"], value: Flag["default"]): Flag => ({
  type,
  default: value,
  help: "accepted for compatibility",
  ignored: true,
});

export const loggingFlags = {
  v: { type: "integer", default: 0, help: "verbosity: below 5 info, 5 to 7 debug, 8 and more trace" },
  "logging-format": { type: "string", default: "text", help: "text or json" },
  vmodule: ignored("string", ""),
  logtostderr: ignored("boolean", true),
  alsologtostderr: ignored("boolean", false),
  stderrthreshold: ignored("string", "2"),
  "log-dir": ignored("string", ""),
  log_dir: ignored("string", ""),
  "log-file": ignored("string", ""),
  log_file: ignored("string", ""),
  "log-file-max-size": ignored("integer", 1800),
  log_file_max_size: ignored("integer", 1800),
  "log-flush-frequency": ignored("duration", "5s"),
  "log-backtrace-at": ignored("string", ""),
  log_backtrace_at: ignored("string", ""),
  "log-json-info-buffer-size": ignored("string", "0"),
  "log-json-split-stream": ignored("boolean", false),
  "log-text-info-buffer-size": ignored("string", "0"),
  "log-text-split-stream": ignored("boolean", false),
  "add-dir-header": ignored("boolean", false),
  add_dir_header: ignored("boolean", false),
  "skip-headers": ignored("boolean", false),
  skip_headers: ignored("boolean", false),
  "skip-log-headers": ignored("boolean", false),
  skip_log_headers: ignored("boolean", false),
  "one-output": ignored("boolean", false),
  one_output: ignored("boolean", false),
} as const satisfies Record<string, Flag>;
