import { expect, test } from "bun:test";
import fc from "fast-check";
import { parseQuantity, quantityText } from "../../kube/quantity.ts";
import { amountOf, evaluate, parseExpression, type Resource, resourceAmount, type Value } from "./expression.ts";

function result(text: string, resource: Resource, variable: Value): string {
  const parsed = parseExpression(text);
  if (!parsed.ok) return `error: ${parsed.problem}`;
  const evaluated = evaluate(parsed.expression, { [resource]: variable });
  if (!evaluated.ok) return `error: ${evaluated.problem}`;
  const amount = resourceAmount(evaluated.value, resource);
  return amount.ok ? quantityText(amount.quantity) : `error: ${amount.problem}`;
}
const amount = (text: string): Value => amountOf(parseQuantity(text)!);

test.each<[string, Resource, string, string]>([
  ["cpu*50%", "cpu", "200m", "100m"],
  ["max(cpu*50%, 50m)", "cpu", "50m", "50m"],
  ["max(memory*20% + 100Mi, 200Mi)", "memory", "800Mi", "260Mi"],
  ["memory*30%", "memory", "600Mi", "180Mi"],
  ["0.5 * memory + max(0, memory-2Gi)", "memory", "8Gi", "10Gi"],
  ["min(max(max(max(0.5,0.5*cpu),cpu-1.0),cpu-1.0),3.0)", "cpu", "500m", "500m"],
  ["max(0.25, cpu)", "cpu", "100m", "250m"],
  ["max(min(2*cpu,-cpu+3.0),2*cpu-3.0)", "cpu", "1500m", "1500m"],
  ["cpu * 29%", "cpu", "100m", "28m"],
  ["1", "cpu", "100m", "1"],
  ["2+3+4/2", "cpu", "0", "7"],
  ["10--5", "cpu", "0", "15"],
  ["1e3+-200", "cpu", "0", "800"],
  ["max(40m, 20)", "cpu", "0", "20"],
  ["1Gi + 100Mi", "memory", "0", "1124Mi"],
  ["MEMORY*2", "memory", "100Mi", "200Mi"],
  ["memory*10%", "memory", "1Mi", "104858"],
  [".5*cpu", "cpu", "1", "500m"],
  ["Max(1,2)", "cpu", "0", "2"],
  ["-(-cpu)", "cpu", "1", "1"],
  ["cpu/3", "cpu", "1", "333m"],
  ["1.2345", "cpu", "0", "1234m"],
  ["100MB+cpu", "cpu", "1", "1"],
  ["0-0", "cpu", "0", "0"],
])("%s with %s %s is %s", (text, resource, variable, expected) => expect(result(text, resource, amount(variable))).toBe(expected));

test.each([
  "cpu*cpu",
  "1/cpu",
  "cpu/0",
  "1/0",
  "cpu-4",
  "memory",
  "max(cpu*50%)",
  "max(1,2,3)",
  "sum(1,2)",
  "+1",
  "1+",
  "(1",
  "1 2",
  "",
  "$",
  "50%%",
  "cpu(1)",
])("%j is an error", (text) => expect(result(text, "cpu", amount("1"))).toStartWith("error: "));

test.each(["cpu-4", "max(cpu*50%)"])("%s is refused with the number 1", (text) =>
  expect(result(text, "cpu", { kind: "number", number: 1 })).toStartWith("error: "),
);
test("max(0, cpu-4) is accepted with the number 1", () => expect(result("max(0, cpu-4)", "cpu", { kind: "number", number: 1 })).toBe("0"));
test.each(["100MB", "12x", "1e", "1Ei", "3n", "5.", "1e3k"])("%s is malformed", (text) => {
  const parsed = parseExpression(text);
  expect(parsed.ok && parsed.expression.malformed).toEqual([text]);
});

test("any text gets an answer", () =>
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom("1", "2.5", "50%", "cpu", "max", "min", "(", ")", ",", "+", "-", "*", "/", "1Gi", "1e400", "x", " "), {
        maxLength: 20,
      }),
      (parts) => {
        result(parts.join(""), "cpu", amount("200m"));
      },
    ),
  ));
test("brackets without end", () => expect(result("(".repeat(4000), "cpu", amount("1"))).toBe("error: nests too deeply"));
