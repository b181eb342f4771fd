/** SidecarSet between v1alpha1 and v1beta1: a namespace becomes a selector, and the custom version moves between label and field. */
import { type Fields, fieldsOf, withFields } from "../kube/json.ts";
import { filled, labelsOf, withMetadata, withPart } from "./conversion.ts";
import type { VersionConversion } from "./definition.ts";
import { label } from "./names.ts";

export const sidecarSetConversion: VersionConversion = {
  toStorage(object) {
    const customVersion = filled(labelsOf(object)[label.sidecarSetCustomVersion]);
    const converted = withPart({ ...object, apiVersion: "apps.kruise.io/v1beta1" }, "spec", (spec) => {
      const namespace = filled(spec["namespace"]);
      const changes: Record<string, unknown> = { namespace: undefined };
      if (customVersion !== undefined) changes["customVersion"] = customVersion;
      if (namespace !== undefined) changes["namespaceSelector"] = { matchLabels: { [label.namespaceName]: namespace } };
      return withFields(spec, changes);
    });
    return withMetadata(converted, "labels", { [label.sidecarSetCustomVersion]: undefined });
  },

  /** Which namespace a selector came from is not told back: it says the same. */
  fromStorage(object) {
    const customVersion = filled(fieldsOf((object as unknown as Fields)["spec"])["customVersion"]);
    const converted = withPart({ ...object, apiVersion: "apps.kruise.io/v1alpha1" }, "spec", (spec) =>
      withFields(spec, { customVersion: undefined }),
    );
    return customVersion === undefined ? converted : withMetadata(converted, "labels", { [label.sidecarSetCustomVersion]: customVersion });
  },
};
