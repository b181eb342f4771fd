/** Kubernetes' formats of names. Each check returns what is wrong, in Kubernetes' words; nothing when all is well. */
import { utf8Length } from "../json.ts";

function regexMessage(message: string, format: string, ...examples: readonly string[]): string {
  const list = examples.map((example) => `'${example}', `).join(" or ");
  return `${message} (e.g. ${list}regex used for validation is '${format}')`;
}

export function maxLengthMessage(max: number): string {
  return `must be no more than ${max} characters`;
}

export function rangeMessage(min: number, max: number): string {
  return `must be between ${min} and ${max}, inclusive`;
}

const qualifiedFormat = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";
const qualifiedMessage = regexMessage(
  "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
  qualifiedFormat,
  "MyName",
  "my.name",
  "123-abc",
);
const qualifiedShape = new RegExp(`^${qualifiedFormat}$`);
const qualifiedLengthMax = 63;

/** A label key, a finalizer, a condition type: `[prefix/]name`. */
export function qualifiedNameProblems(value: string): readonly string[] {
  const parts = value.split("/");
  if (parts.length > 2)
    return [`a qualified name ${qualifiedMessage} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`];
  const problems: string[] = [];
  const [first = "", second] = parts;
  const name = second ?? first;
  if (second !== undefined) {
    if (first === "") problems.push("prefix part must be non-empty");
    else problems.push(...subdomainProblems(first).map((problem) => `prefix part ${problem}`));
  }
  if (name === "") problems.push("name part must be non-empty");
  else if (utf8Length(name) > qualifiedLengthMax) problems.push(`name part ${maxLengthMessage(qualifiedLengthMax)}`);
  if (!qualifiedShape.test(name)) problems.push(`name part ${qualifiedMessage}`);
  return problems;
}

const labelValueFormat = `(${qualifiedFormat})?`;
const labelValueShape = new RegExp(`^${labelValueFormat}$`);
const labelValueMessage = regexMessage(
  "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
  labelValueFormat,
  "MyValue",
  "my_value",
  "12345",
);

export function labelValueProblems(value: string): readonly string[] {
  const problems: string[] = [];
  if (utf8Length(value) > 63) problems.push(maxLengthMessage(63));
  if (!labelValueShape.test(value)) problems.push(labelValueMessage);
  return problems;
}

const labelFormat = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const labelShape = new RegExp(`^${labelFormat}$`);
const labelMessage = regexMessage(
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character",
  labelFormat,
  "my-name",
  "123-abc",
);
const subdomainFormat = `${labelFormat}(\\.${labelFormat})*`;
const subdomainShape = new RegExp(`^${subdomainFormat}$`);
const subdomainMessage = regexMessage(
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character",
  subdomainFormat,
  "example.com",
);
const underscoreLabelFormat = "_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?";
const underscoreFormat = `${underscoreLabelFormat}(\\.${underscoreLabelFormat})*`;
const underscoreShape = new RegExp(`^${underscoreFormat}$`);
const underscoreMessage = regexMessage(
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', and must start and end with an alphanumeric character",
  underscoreFormat,
  "example.com",
);

/** A DNS-1123 label: names of containers, volumes, namespaces. */
export function labelProblems(value: string): readonly string[] {
  const problems: string[] = [];
  if (utf8Length(value) > 63) problems.push(maxLengthMessage(63));
  if (!labelShape.test(value)) problems.push(subdomainShape.test(value) ? "must not contain dots" : labelMessage);
  return problems;
}

/** A DNS-1123 subdomain: names of most objects. */
export function subdomainProblems(value: string): readonly string[] {
  const problems: string[] = [];
  if (utf8Length(value) > 253) problems.push(maxLengthMessage(253));
  if (!subdomainShape.test(value)) problems.push(subdomainMessage);
  return problems;
}

/** As names in DNS search lists, which may have underscores. */
export function searchDomainProblems(value: string): readonly string[] {
  const problems: string[] = [];
  if (utf8Length(value) > 253) problems.push(maxLengthMessage(253));
  if (!underscoreShape.test(value)) problems.push(underscoreMessage);
  return problems;
}

/** A generated name's prefix may end in a dash: the random characters follow. */
export function maskTrailingDash(name: string): string {
  return name.length > 1 && name.endsWith("-") ? `${name.slice(0, -2)}a` : name;
}

export function portNumberProblems(port: number): readonly string[] {
  return port >= 1 && port <= 65535 ? [] : [rangeMessage(1, 65535)];
}

/** IANA service names: a port by name. */
export function portNameProblems(name: string): readonly string[] {
  const problems: string[] = [];
  if (utf8Length(name) > 15) problems.push(maxLengthMessage(15));
  if (!/^[-a-z0-9]+$/.test(name)) problems.push("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)");
  if (!/[a-z]/.test(name)) problems.push("must contain at least one letter (a-z)");
  if (name.includes("--")) problems.push("must not contain consecutive hyphens");
  if (name.startsWith("-") || name.endsWith("-")) problems.push("must not begin or end with a hyphen");
  return problems;
}

/** Users and groups. */
export function idProblems(id: number): readonly string[] {
  return id >= 0 && id <= 2147483647 ? [] : [rangeMessage(0, 2147483647)];
}

/** Since Kubernetes 1.34 everything printable but "=". */
export function envNameProblems(name: string): readonly string[] {
  if (name === "") return ["environment variable name must be non-empty"];
  return /^[ -<>-~]+$/.test(name)
    ? []
    : ["a valid environment variable name must consist only of printable ASCII characters other than '='"];
}

const configKeyFormat = "[-._a-zA-Z0-9]+";
const configKeyShape = new RegExp(`^${configKeyFormat}$`);

/** A key of a ConfigMap or Secret. */
export function configKeyProblems(key: string): readonly string[] {
  const problems: string[] = [];
  if (utf8Length(key) > 253) problems.push(maxLengthMessage(253));
  if (!configKeyShape.test(key))
    problems.push(
      regexMessage(
        "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
        configKeyFormat,
        "key.name",
        "KEY_NAME",
        "key-name",
      ),
    );
  if (key === ".") problems.push("must not be '.'");
  else if (key === "..") problems.push("must not be '..'");
  else if (key.startsWith("..")) problems.push("must not start with '..'");
  return problems;
}

export function headerNameProblems(name: string): readonly string[] {
  if (/^[-A-Za-z0-9]+$/.test(name)) return [];
  return [regexMessage("a valid HTTP header must consist of alphanumeric characters or '-'", "[-A-Za-z0-9]+", "X-Header-Name")];
}

/** IPv4 or IPv6; leading zeros in IPv4 are accepted, as by Kubernetes' older fields. */
export function ipProblems(value: string): readonly string[] {
  return isIpv4(value) || isIpv6(value) ? [] : ["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"];
}

function isIpv4(value: string): boolean {
  const parts = value.split(".");
  return parts.length === 4 && parts.every((part) => /^\d{1,8}$/.test(part) && Number(part) <= 255);
}

function isIpv6(value: string): boolean {
  const halves = value.split("::");
  if (halves.length > 2) return false;
  const groups = (half: string): string[] => (half === "" ? [] : half.split(":"));
  const all = halves.flatMap(groups);
  const last = all[all.length - 1];
  let count = all.length;
  if (last?.includes(".")) {
    if (!isIpv4(last)) return false;
    all.pop();
    count += 1;
  }
  if (!all.every((group) => /^[0-9a-fA-F]{1,4}$/.test(group))) return false;
  return halves.length === 2 ? count < 8 : count === 8;
}
