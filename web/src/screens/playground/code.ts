import type { HttpRequest } from "./dialects";

export const languages = ["curl", "Python", "Node", "Go"] as const;
export type Language = (typeof languages)[number];

/** A program that makes the request. The key is in its environment, as HALLEY_API_KEY. */
export function codeFor(language: Language, origin: string, request: HttpRequest, key: string): string {
  const url = origin + request.path;
  const headers = Object.entries(request.headers).map(([name, value]) => ({
    name,
    // What is around the key; undefined for headers without it.
    before: key !== "" && value.endsWith(key) ? value.slice(0, value.length - key.length) : undefined,
    value,
  }));
  const streams = "stream" in request.body || request.path.includes("stream");
  switch (language) {
    case "curl": {
      const quoted = JSON.stringify(request.body, null, 2).replaceAll("'", "'\\''");
      const lines = headers.map((header) =>
        header.before === undefined
          ? `  -H '${header.name}: ${header.value}' \\`
          : `  -H "${header.name}: ${header.before}$HALLEY_API_KEY" \\`,
      );
      return [`curl ${streams ? "-N " : ""}'${url}' \\`, ...lines, `  -d '${quoted}'`].join("\n");
    }
    case "Python":
      return `# pip install requests
import os

import requests

answer = requests.post(
    ${JSON.stringify(url)},
    headers={
${headers
  .map(({ name, value, before }) =>
    before === undefined
      ? `        "${name}": "${value}",`
      : `        "${name}": ${before ? `"${before}" + ` : ""}os.environ["HALLEY_API_KEY"],`,
  )
  .join("\n")}
    },
    json=${python(request.body, "    ")},${streams ? "\n    stream=True," : ""}
)
answer.raise_for_status()
${
  streams
    ? `for line in answer.iter_lines(decode_unicode=True):
    if line.startswith("data:"):
        print(line[5:].strip())`
    : "print(answer.json())"
}`;
    case "Node":
      return `const answer = await fetch(${JSON.stringify(url)}, {
  method: "POST",
  headers: {
${headers
  .map(({ name, value, before }) =>
    before === undefined ? `    "${name}": "${value}",` : `    "${name}": \`${before}\${process.env.HALLEY_API_KEY}\`,`,
  )
  .join("\n")}
  },
  body: JSON.stringify(${indented(JSON.stringify(request.body, null, 2), "  ")}),
});
if (!answer.ok) throw new Error(await answer.text());
${
  streams
    ? `for await (const text of answer.body.pipeThrough(new TextDecoderStream())) {
  process.stdout.write(text);
}`
    : "console.log(await answer.json());"
}`;
    case "Go":
      return `package main

import (
	"io"
	"log"
	"net/http"
	"os"
	"strings"
)

const body = ${goString(JSON.stringify(request.body, null, 2))}

func main() {
	request, err := http.NewRequest("POST", ${JSON.stringify(url)}, strings.NewReader(body))
	if err != nil {
		log.Fatal(err)
	}
${headers
  .map(({ name, value, before }) =>
    before === undefined
      ? `	request.Header.Set("${name}", "${value}")`
      : `	request.Header.Set("${name}", ${before ? `"${before}"+` : ""}os.Getenv("HALLEY_API_KEY"))`,
  )
  .join("\n")}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		log.Fatal(err)
	}
	defer answer.Body.Close()
	if _, err := io.Copy(os.Stdout, answer.Body); err != nil {
		log.Fatal(err)
	}
}`;
  }
}

function indented(text: string, by: string): string {
  return text.replaceAll("\n", `\n${by}`);
}

/** A value as Python writes it. JSON's strings are Python's, too. */
function python(value: unknown, indent: string): string {
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  const inner = `${indent}    `;
  if (Array.isArray(value)) {
    return value.length === 0
      ? "[]"
      : `[\n${value.map((one) => `${inner}${python(one, inner)},`).join("\n")}\n${indent}]`;
  }
  if (typeof value === "object") {
    const members = Object.entries(value as object);
    return members.length === 0
      ? "{}"
      : `{\n${members.map(([name, one]) => `${inner}${JSON.stringify(name)}: ${python(one, inner)},`).join("\n")}\n${indent}}`;
  }
  return JSON.stringify(value);
}

function goString(text: string): string {
  return `\`${text.replaceAll("`", '` + "`" + `')}\``;
}
