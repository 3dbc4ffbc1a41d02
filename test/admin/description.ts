/** The description of the API (OpenAPI 3.1), as what its answers are compared with: nothing may be missing, and nothing may be there that it does not name. */

import assert from "node:assert/strict";
import { z } from "@hono/zod-openapi";

type Schema = { [name: string]: unknown };

interface Operation {
  readonly responses: Readonly<
    Record<string, { readonly content?: Readonly<Record<string, { readonly schema: Schema }>> }>
  >;
}

export class Description {
  readonly #paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly #schemas: Readonly<Record<string, Schema>>;
  /** By the schema as it stands in the description. */
  readonly #checks = new Map<Schema, z.ZodType>();

  constructor(document: { openapi: string; paths: never; components: { schemas: never } }) {
    assert.match(document.openapi, /^3\.1\./);
    this.#paths = document.paths;
    this.#schemas = document.components.schemas;
  }

  /** Paths with their methods in lower case. */
  get routes(): readonly (readonly [path: string, method: string])[] {
    return Object.entries(this.#paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method): [string, string] => [path, method])
    );
  }

  /** Fails unless the answer is one that the description has for this request. */
  check(
    method: string,
    target: string,
    answer: {
      readonly status: number;
      readonly headers: { readonly "content-type"?: string | undefined };
      readonly json: unknown;
    },
  ): void {
    const path = target.replace(/\?.*/, "");
    const known = Object.keys(this.#paths).find((pattern) =>
      new RegExp(`^${pattern.replaceAll(/\{\w+\}/g, "[^/]+")}$`).test(path)
    );
    const operation = this.#paths[known ?? ""]?.[method.toLowerCase()];
    assert.ok(operation !== undefined, `${method} ${path} is not described`);
    const response = operation.responses[answer.status];
    assert.ok(response !== undefined, `${method} ${path} is not described to answer ${answer.status}`);
    const type = answer.headers["content-type"]?.replace(/;.*/, "") ?? "";
    const schema = response.content?.[type]?.schema;
    assert.ok(schema !== undefined, `${method} ${path} ${answer.status} is not described to be ${type}`);
    const result = this.#checkOf(schema).safeParse(answer.json);
    assert.ok(result.success, `${method} ${target} ${answer.status}: ${result.error?.message}`);
  }

  #checkOf(schema: Schema): z.ZodType {
    let check = this.#checks.get(schema);
    if (check === undefined) this.#checks.set(schema, check = z.fromJSONSchema(this.#whole(schema) as never));
    return check;
  }

  /** The schema with all that it refers to in its place, and without room for what is not named. */
  #whole(schema: unknown): unknown {
    if (Array.isArray(schema)) return schema.map((one) => this.#whole(one));
    if (typeof schema !== "object" || schema === null) return schema;
    const { $ref, ...own } = schema as Schema;
    if (typeof $ref === "string") return this.#whole(this.#schemas[$ref.replace("#/components/schemas/", "")]);
    const inside = Object.fromEntries(Object.entries(own).map(([name, value]) => [name, this.#whole(value)]));
    const closes = inside.type === "object" && inside.properties !== undefined &&
      inside.additionalProperties === undefined;
    return closes ? { ...inside, additionalProperties: false } : inside;
  }
}
