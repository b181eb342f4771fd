/** What each kind of volume must say of itself. */
import type { Fields } from "../json.ts";
import { compareQuantityValues } from "../quantity.ts";
import { checkEphemeralClaim } from "./claims.ts";
import { checkFieldRef, checkResourceFieldRef } from "./env.ts";
import { type FieldErrors, keyPath } from "./field-error.ts";
import { checkDescendingPath, checkFilePath, hasBackstep } from "./mounts.ts";
import { labelProblems, rangeMessage, subdomainProblems } from "./names.ts";
import { child, children, integer, optionalInteger, optionalText, text, textEntries, texts } from "./read.ts";

type SourceCheck = (errors: FieldErrors, source: Fields, path: string) => void;

const modeMessage = "must be a number between 0 and 0777 (octal), both inclusive";

function checkMode(errors: FieldErrors, source: Fields, field: string, path: string): void {
  const mode = optionalInteger(source, field);
  if (mode !== undefined && (mode < 0 || mode > 0o777)) errors.invalid(`${path}.${field}`, mode, modeMessage);
}

function checkRequired(errors: FieldErrors, source: Fields, path: string, ...fields: readonly string[]): void {
  for (const field of fields) if (text(source, field) === "" && texts(source, field).length === 0) errors.required(`${path}.${field}`);
}

function checkSecretRef(errors: FieldErrors, source: Fields, path: string, field = "secretRef"): void {
  const ref = child(source, field);
  if (ref !== undefined && text(ref, "name") === "") errors.required(`${path}.${field}.name`);
}

function checkPartition(errors: FieldErrors, source: Fields, path: string): void {
  const partition = integer(source, "partition");
  if (partition < 0 || partition > 255) errors.invalid(`${path}.partition`, partition, rangeMessage(1, 255));
}

function checkKeyToPath(errors: FieldErrors, item: Fields, path: string): void {
  checkRequired(errors, item, path, "key", "path");
  checkFilePath(errors, text(item, "path"), `${path}.path`);
  checkMode(errors, item, "mode", path);
}

function checkFiles(errors: FieldErrors, source: Fields, path: string): void {
  checkMode(errors, source, "defaultMode", path);
  for (const [index, item] of children(source, "items").entries()) checkKeyToPath(errors, item, `${path}.items[${index}]`);
}

function checkDownwardFile(errors: FieldErrors, file: Fields, path: string): void {
  checkRequired(errors, file, path, "path");
  checkFilePath(errors, text(file, "path"), `${path}.path`);
  const fieldRef = child(file, "fieldRef");
  const resourceRef = child(file, "resourceFieldRef");
  if (fieldRef !== undefined) {
    checkFieldRef(errors, fieldRef, "volume", `${path}.fieldRef`);
    if (resourceRef !== undefined) errors.invalid(path, "resource", "fieldRef and resourceFieldRef can not be specified simultaneously");
  } else if (resourceRef !== undefined) checkResourceFieldRef(errors, resourceRef, "volume", `${path}.resourceFieldRef`);
  else errors.required(path, "one of fieldRef and resourceFieldRef is required");
  checkMode(errors, file, "mode", path);
}

const iscsiNames: readonly (readonly [string, RegExp])[] = [
  ["iqn", /^iqn\.\d{4}-\d{2}\.([A-Za-z0-9-_.]+)(:[^,;*&$|\s]+)$/],
  ["eui", /^eui.[A-Za-z0-9]{16}$/],
  ["naa", /^naa.[A-Za-z0-9]{32}$/],
];

function checkIscsiName(errors: FieldErrors, name: string, path: string): void {
  const kind = iscsiNames.find(([prefix]) => name.startsWith(prefix));
  if (kind === undefined) errors.invalid(path, name, "must be valid format starting with iqn, eui, or naa");
  else if (!kind[1].test(name)) errors.invalid(path, name, "must be valid format");
}

function checkIscsi(errors: FieldErrors, source: Fields, path: string): void {
  checkRequired(errors, source, path, "targetPortal", "iqn");
  if (text(source, "iqn") !== "") checkIscsiName(errors, text(source, "iqn"), `${path}.iqn`);
  checkLun(errors, integer(source, "lun"), path);
  const authenticated = source["chapAuthDiscovery"] === true || source["chapAuthSession"] === true;
  if (authenticated && child(source, "secretRef") === undefined) errors.required(`${path}.secretRef`);
  const initiator = optionalText(source, "initiatorName");
  if (initiator !== undefined) checkIscsiName(errors, initiator, `${path}.initiatorname`);
}

function checkLun(errors: FieldErrors, lun: number, path: string): void {
  if (lun < 0 || lun > 255) errors.invalid(`${path}.lun`, lun, rangeMessage(0, 255));
}

function checkFibreChannel(errors: FieldErrors, source: Fields, path: string): void {
  const targets = texts(source, "targetWWNs");
  const ids = texts(source, "wwids");
  if (targets.length === 0 && ids.length === 0)
    errors.required(`${path}.targetWWNs`, "must specify either targetWWNs or wwids, but not both");
  if (targets.length > 0 && ids.length > 0)
    errors.invalid(`${path}.targetWWNs`, targets, "targetWWNs and wwids can not be specified simultaneously");
  if (targets.length === 0) return;
  const lun = optionalInteger(source, "lun");
  if (lun === undefined) errors.required(`${path}.lun`, "lun is required if targetWWNs is specified");
  else checkLun(errors, lun, path);
}

const cachingModes = ["None", "ReadOnly", "ReadWrite"];
const diskKinds = ["Dedicated", "Managed", "Shared"];

function checkAzureDisk(errors: FieldErrors, source: Fields, path: string): void {
  checkRequired(errors, source, path, "diskName", "diskURI");
  const caching = optionalText(source, "cachingMode");
  const kind = optionalText(source, "kind");
  const uri = text(source, "diskURI");
  if (caching !== undefined && !cachingModes.includes(caching)) errors.notSupported(`${path}.cachingMode`, caching, cachingModes);
  if (kind === undefined) return;
  if (!diskKinds.includes(kind)) errors.notSupported(`${path}.kind`, kind, diskKinds);
  if (kind === "Managed" && !uri.startsWith("/subscriptions/"))
    errors.notSupported(`${path}.diskURI`, uri, [
      "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}",
    ]);
  if (kind !== "Managed" && !uri.startsWith("https://"))
    errors.notSupported(`${path}.diskURI`, uri, ["https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd"]);
}

function checkQuobyte(errors: FieldErrors, source: Fields, path: string): void {
  const registry = text(source, "registry");
  const message = "must be a host:port pair or multiple pairs separated by commas";
  if (registry === "") errors.required(`${path}.registry`, message);
  else if (text(source, "tenant").length >= 65)
    errors.required(`${path}.tenant`, "must be a UUID and may not exceed a length of 64 characters");
  else
    for (const pair of registry.split(","))
      if (!/^(?:[^:[\]]*|\[[^[\]]*\]):[^:[\]]*$/.test(pair)) errors.invalid(`${path}.registry`, registry, message);
  checkRequired(errors, source, path, "volume");
}

function checkFlex(errors: FieldErrors, source: Fields, path: string): void {
  checkRequired(errors, source, path, "driver");
  for (const [key] of textEntries(source, "options")) {
    const domain = `.${(key.split("/", 1)[0] ?? "").toLowerCase()}`;
    if (domain.endsWith(".kubernetes.io") || domain.endsWith(".k8s.io"))
      errors.invalid(keyPath(`${path}.options`, key), key, "kubernetes.io and k8s.io namespaces are reserved");
  }
}

function checkFlocker(errors: FieldErrors, source: Fields, path: string): void {
  const name = text(source, "datasetName");
  const uuid = text(source, "datasetUUID");
  if (name === "" && uuid === "") errors.required(path, "one of datasetName and datasetUUID is required");
  if (name !== "" && uuid !== "") errors.invalid(path, "resource", "datasetName and datasetUUID can not be specified simultaneously");
  if (name.includes("/")) errors.invalid(`${path}.datasetName`, name, "must not contain '/'");
}

function checkCsi(errors: FieldErrors, source: Fields, path: string): void {
  const driver = text(source, "driver");
  if (driver === "") errors.required(`${path}.driver`);
  if (driver.length > 63) errors.tooLong(`${path}.driver`, 63);
  errors.invalidAll(`${path}.driver`, driver, subdomainProblems(driver.toLowerCase()));
  const ref = child(source, "nodePublishSecretRef");
  if (ref === undefined) return;
  const name = text(ref, "name");
  if (name === "") errors.required(`${path}.nodePublishSecretRef.name`);
  else errors.invalidAll(`${path}.name`, name, subdomainProblems(name));
}

function checkStorageOs(errors: FieldErrors, source: Fields, path: string): void {
  checkRequired(errors, source, path, "volumeName");
  for (const field of ["volumeName", "volumeNamespace"])
    if (text(source, field) !== "") errors.invalidAll(`${path}.${field}`, text(source, field), labelProblems(text(source, field)));
  checkSecretRef(errors, source, path);
}

const hostPathTypes = ["", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"];

function checkHostPath(errors: FieldErrors, source: Fields, path: string): void {
  const hostPath = text(source, "path");
  if (hostPath === "") {
    errors.required(`${path}.path`);
    return;
  }
  if (hasBackstep(hostPath)) errors.invalid(`${path}.path`, hostPath, "must not contain '..'");
  const type = optionalText(source, "type");
  if (type !== undefined && !hostPathTypes.includes(type)) errors.notSupported(`${path}.type`, type, hostPathTypes);
}

/** Two sources that write one file. */
class Paths {
  readonly #seen = new Set<string>();
  add(errors: FieldErrors, file: string, shown: string, path: string): void {
    if (this.#seen.has(file)) errors.invalid(path, shown, "conflicting duplicate paths");
    this.#seen.add(file);
  }
}

function checkToken(errors: FieldErrors, token: Fields, path: string, volumePath: string): void {
  const seconds = integer(token, "expirationSeconds");
  if (seconds < 600) errors.invalid(`${path}.expirationSeconds`, seconds, "may not specify a duration less than 10 minutes");
  if (seconds > 2 ** 32) errors.invalid(`${path}.expirationSeconds`, seconds, "may not specify a duration larger than 2^32 seconds");
  const file = text(token, "path");
  if (file === "") errors.required(`${volumePath}.path`);
  else checkFilePath(errors, file, `${volumePath}.path`);
}

function checkTrustBundle(errors: FieldErrors, bundle: Fields, path: string): void {
  const name = optionalText(bundle, "name");
  const signer = optionalText(bundle, "signerName");
  if (name !== undefined && signer !== undefined) errors.invalid(path, bundle, "only one of name and signerName may be used");
  else if (name !== undefined) {
    if (name === "") errors.required(`${path}.name`, "must be a valid object name");
    if (child(bundle, "labelSelector") !== undefined)
      errors.invalid(`${path}.labelSelector`, bundle["labelSelector"], "labelSelector must be unset if name is specified");
  } else if (signer === undefined) errors.required(path, "either name or signerName must be specified");
  else if (signer === "") errors.required(`${path}.signerName`, "must be a valid signer name");
  checkRequired(errors, bundle, path, "path");
  checkFilePath(errors, text(bundle, "path"), `${path}.path`);
}

function checkProjection(errors: FieldErrors, source: Fields, paths: Paths, at: string, volumePath: string): void {
  for (const kind of ["secret", "configMap"]) {
    const files = child(source, kind);
    if (files === undefined) continue;
    checkRequired(errors, files, `${at}.${kind}`, "name");
    for (const [index, item] of children(files, "items").entries()) {
      checkKeyToPath(errors, item, `${at}.${kind}.items[${index}]`);
      if (text(item, "path") !== "") paths.add(errors, text(item, "path"), text(files, "name"), volumePath);
    }
  }
  const downward = child(source, "downwardAPI");
  for (const file of downward === undefined ? [] : children(downward, "items")) {
    checkDownwardFile(errors, file, `${at}.downwardAPI`);
    if (text(file, "path") !== "") paths.add(errors, text(file, "path"), text(file, "path"), volumePath);
  }
  const token = child(source, "serviceAccountToken");
  if (token !== undefined) checkToken(errors, token, `${at}.serviceAccountToken`, volumePath);
  const bundle = child(source, "clusterTrustBundle");
  if (bundle === undefined) return;
  checkTrustBundle(errors, bundle, `${at}.clusterTrustBundle`);
  paths.add(errors, text(bundle, "path"), text(bundle, "path"), volumePath);
}

function checkProjected(errors: FieldErrors, source: Fields, path: string): void {
  checkMode(errors, source, "defaultMode", path);
  const paths = new Paths();
  for (const [index, projection] of children(source, "sources").entries()) {
    const at = `${path}.sources[${index}]`;
    checkProjection(errors, projection, paths, at, path);
    if (Object.keys(projection).length > 1) errors.forbidden(at, "may not specify more than 1 volume type per source");
  }
}

const needs =
  (...fields: readonly string[]): SourceCheck =>
  (errors, source, path) =>
    checkRequired(errors, source, path, ...fields);

/** By field, in the order in which Kubernetes looks at them. */
export const volumeSources: ReadonlyMap<string, SourceCheck> = new Map<string, SourceCheck>([
  [
    "emptyDir",
    (errors, source, path) => {
      if (compareQuantityValues(source["sizeLimit"], 0) < 0)
        errors.forbidden(`${path}.sizeLimit`, "SizeLimit field must be a valid resource quantity");
    },
  ],
  ["hostPath", checkHostPath],
  [
    "gitRepo",
    (errors, source, path) => {
      checkRequired(errors, source, path, "repository");
      checkDescendingPath(errors, text(source, "directory"), `${path}.directory`);
    },
  ],
  [
    "gcePersistentDisk",
    (errors, source, path) => {
      checkRequired(errors, source, path, "pdName");
      checkPartition(errors, source, path);
    },
  ],
  [
    "awsElasticBlockStore",
    (errors, source, path) => {
      checkRequired(errors, source, path, "volumeID");
      checkPartition(errors, source, path);
    },
  ],
  [
    "secret",
    (errors, source, path) => {
      checkRequired(errors, source, path, "secretName");
      checkFiles(errors, source, path);
    },
  ],
  [
    "nfs",
    (errors, source, path) => {
      checkRequired(errors, source, path, "server", "path");
      if (!text(source, "path").startsWith("/")) errors.invalid(`${path}.path`, text(source, "path"), "must be an absolute path");
    },
  ],
  ["iscsi", checkIscsi],
  ["glusterfs", needs("endpoints", "path")],
  ["flocker", checkFlocker],
  ["persistentVolumeClaim", needs("claimName")],
  ["rbd", needs("monitors", "image")],
  [
    "cinder",
    (errors, source, path) => {
      checkRequired(errors, source, path, "volumeID");
      checkSecretRef(errors, source, path);
    },
  ],
  ["cephfs", needs("monitors")],
  ["quobyte", checkQuobyte],
  [
    "downwardAPI",
    (errors, source, path) => {
      checkMode(errors, source, "defaultMode", path);
      for (const file of children(source, "items")) checkDownwardFile(errors, file, path);
    },
  ],
  ["fc", checkFibreChannel],
  ["flexVolume", checkFlex],
  [
    "configMap",
    (errors, source, path) => {
      checkRequired(errors, source, path, "name");
      checkFiles(errors, source, path);
    },
  ],
  ["azureFile", needs("secretName", "shareName")],
  ["vsphereVolume", needs("volumePath")],
  ["photonPersistentDisk", needs("pdID")],
  ["portworxVolume", needs("volumeID")],
  ["azureDisk", checkAzureDisk],
  ["storageos", checkStorageOs],
  ["projected", checkProjected],
  ["scaleIO", needs("gateway", "system", "volumeName")],
  ["csi", checkCsi],
  [
    "ephemeral",
    (errors, source, path) => {
      const template = child(source, "volumeClaimTemplate");
      if (template === undefined) errors.required(`${path}.volumeClaimTemplate`);
      else checkEphemeralClaim(errors, template, `${path}.volumeClaimTemplate`);
    },
  ],
  [
    "image",
    (errors, source, path) => {
      const policy = text(source, "pullPolicy");
      if (!["Always", "IfNotPresent", "Never"].includes(policy))
        errors.notSupported(`${path}.pullPolicy`, policy, ["Always", "IfNotPresent", "Never"]);
    },
  ],
]);
