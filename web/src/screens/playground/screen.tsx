import { useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { ImagePlus, Send, Square, Trash2, X } from "lucide-react";
import { useEffect, useMemo, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { ownModelsQuery } from "@/api/queries";
import { Button, IconButton } from "@/ui/button";
import { Code } from "@/ui/code";
import { Combobox } from "@/ui/combobox";
import { Field } from "@/ui/field";
import { Checkbox, Input, Segments, Select, Textarea } from "@/ui/input";
import { Card, Page } from "@/ui/page";
import { Problem } from "@/ui/problem";
import { Tabs } from "@/ui/tabs";
import { keyChoicesQuery, keyNameQuery } from "../usage/queries";
import { codeFor, languages } from "./code";
import { type Ask, type Call, type Image, requestOf, type Tool, type Turn } from "./dialects";
import { dialects, type PlaygroundSearch } from "./search";
import { type Reply, send } from "./send";
import { Conversation, ReplyView } from "./turns";

const route = getRouteApi("/app/playground");
const someKey = "$HALLEY_API_KEY";

/** Any model in any dialect, charged to a key of the viewer's choice. */
export function PlaygroundScreen() {
  const { t } = useTranslation("playground");
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const change = (to: { [Name in keyof PlaygroundSearch]: PlaygroundSearch[Name] | undefined }) =>
    void navigate({ search: (now) => ({ ...now, ...to }) as PlaygroundSearch, replace: true });
  const models = useQuery(ownModelsQuery);
  const dialect = search.dialect ?? "chat";
  const [model, setModel] = useState(search.model ?? "");
  const secret = useSecret(search.key);

  const [system, setSystem] = useState("");
  const [toolText, setToolText] = useState("");
  const [stream, setStream] = useState(true);
  const [numbers, setNumbers] = useState({ maxTokens: "", temperature: "", topP: "" });
  const tools = useMemo(() => readTools(toolText), [toolText]);

  const [turns, setTurns] = useState<readonly Turn[]>([]);
  const [draft, setDraft] = useState("");
  const [images, setImages] = useState<readonly Image[]>([]);
  const [reply, setReply] = useState<Reply>();
  const [error, setError] = useState<unknown>();
  const [running, setRunning] = useState(false);
  const [asked, setAsked] = useState(false);
  const abort = useRef<AbortController>(undefined);
  useEffect(() => () => abort.current?.abort(), []);

  const ask: Ask = {
    model,
    system: system.trim(),
    turns: draft.trim() || images.length > 0 ? [...turns, { role: "user", text: draft, images }] : turns,
    tools: tools ?? [],
    stream,
    maxTokens: numberOf(numbers.maxTokens),
    temperature: numberOf(numbers.temperature),
    topP: numberOf(numbers.topP),
  };
  const open = (reply?.answer.calls ?? []).filter(
    (call) => !turns.some((turn) => turn.role === "tool" && turn.call.id === call.id),
  );
  const ready = model !== "" && secret.value !== "" && tools !== undefined;
  const run = async (next: readonly Turn[]) => {
    setAsked(true);
    if (!ready || running || next.length === 0) return;
    const controller = new AbortController();
    abort.current = controller;
    setTurns(next);
    setDraft("");
    setImages([]);
    setReply(undefined);
    setError(undefined);
    setRunning(true);
    let last: Reply | undefined;
    try {
      const request = requestOf(dialect, { ...ask, turns: next }, secret.value);
      await send(dialect, request, controller.signal, (now) => {
        last = now;
        setReply(now);
      });
    } catch (problem) {
      if (!controller.signal.aborted) setError(problem);
    }
    setRunning(false);
    if (last && (last.answer.text || last.answer.calls.length > 0)) {
      setTurns([...next, { role: "assistant", text: last.answer.text, calls: last.answer.calls }]);
    }
  };
  const clear = () => {
    abort.current?.abort();
    setTurns([]);
    setReply(undefined);
    setError(undefined);
    setAsked(false);
  };
  const answerCall = (call: Call, result: string) => {
    const next = [...turns, { role: "tool" as const, call, result }];
    setTurns(next);
    if (open.every((one) => one.id === call.id)) void run(next);
  };
  const code = (language: (typeof languages)[number]) => {
    // The request that made the last answer, or the next one.
    const said = ask.turns.at(-1)?.role === "assistant" ? ask.turns.slice(0, -1) : ask.turns;
    const shown: readonly Turn[] = said.length > 0 ? said : [{ role: "user", text: "Hello", images: [] }];
    const short = shown.map((turn) =>
      turn.role === "user" ? { ...turn, images: turn.images.map((one) => ({ ...one, base64: "…" })) } : turn,
    );
    const request = requestOf(dialect, { ...ask, model: model || "MODEL", turns: short }, someKey);
    return codeFor(language, window.location.origin, request, someKey);
  };

  return (
    <Page
      title={t("title")}
      actions={
        turns.length > 0 && (
          <Button icon={<Trash2 aria-hidden className="size-3.5 text-soft" />} onClick={clear}>
            {t("clear")}
          </Button>
        )
      }
    >
      <div className="grid items-start gap-4 lg:grid-cols-[1fr_20rem] lg:grid-rows-[auto_1fr]">
        <div className="flex min-w-0 flex-col gap-4 max-lg:order-2 lg:row-span-2">
          <Card>
            <Conversation turns={turns} running={running} reply={reply} />
            {(reply || running) && <ReplyView reply={reply} running={running} />}
            <Problem error={error} className="mt-4" />
            {!running && open.length > 0 && (
              <div className="mt-4 flex flex-col gap-3">
                {open.map((call) => (
                  <CallResult key={call.id} call={call} onResult={(result) => answerCall(call, result)} />
                ))}
              </div>
            )}
            <form
              className={turns.length > 0 || running || error ? "mt-4 border-t pt-4" : ""}
              onSubmit={(event) => {
                event.preventDefault();
                void run(ask.turns);
              }}
            >
              <Textarea
                aria-label={t("message")}
                placeholder={t("messageHint")}
                rows={4}
                value={draft}
                onChange={(event) => setDraft(event.target.value)}
                onKeyDown={(event) => {
                  if (event.key === "Enter" && (event.metaKey || event.ctrlKey)) {
                    event.preventDefault();
                    void run(ask.turns);
                  }
                }}
              />
              {images.length > 0 && (
                <ul className="mt-2 flex flex-wrap gap-2">
                  {images.map((image, i) => (
                    // biome-ignore lint/suspicious/noArrayIndexKey: one image may be there twice
                    <li key={i} className="relative">
                      <img
                        src={`data:${image.type};base64,${image.base64}`}
                        alt={t("image", { number: i + 1 })}
                        className="size-16 rounded-md border object-cover"
                      />
                      <IconButton
                        label={t("removeImage", { number: i + 1 })}
                        className="absolute -top-2 -right-2 size-6! rounded-full border bg-raised"
                        onClick={() => setImages(images.filter((_, at) => at !== i))}
                      >
                        <X aria-hidden className="size-3" />
                      </IconButton>
                    </li>
                  ))}
                </ul>
              )}
              <div className="mt-2 flex items-center gap-2">
                <ImageButton onImages={(more) => setImages((now) => [...now, ...more])} />
                <span className="flex-1" />
                {running ? (
                  <Button icon={<Square aria-hidden className="size-3" />} onClick={() => abort.current?.abort()}>
                    {t("stop")}
                  </Button>
                ) : (
                  <Button
                    type="submit"
                    look="primary"
                    icon={<Send aria-hidden className="size-3.5" />}
                    disabled={ask.turns.length === 0 || ask.turns.at(-1)?.role === "assistant"}
                  >
                    {t("send")}
                  </Button>
                )}
              </div>
            </form>
          </Card>
          <Card title={t("code")}>
            <Tabs
              label={t("code")}
              tabs={languages.map((language) => ({
                value: language,
                label: language,
                content: <Code text={code(language)} label={t("codeIn", { language })} />,
              }))}
            />
            <p className="mt-2 text-xs text-soft">{t("codeHelp")}</p>
          </Card>
        </div>
        <Card className="max-lg:order-1">
          <div className="flex flex-col gap-4">
            <Field label={t("model")} error={asked && model === "" ? t("modelNeeded") : undefined}>
              <Combobox
                options={models.data ?? []}
                free
                value={model}
                onChange={(to) => {
                  setModel(to);
                  change({ model: to || undefined });
                }}
              />
            </Field>
            <Field label={t("dialect")} help={t(`dialectHelp.${dialect}`)}>
              <Select
                value={dialect}
                onChange={({ target }) =>
                  change({
                    dialect: target.value === "chat" ? undefined : dialects.find((one) => one === target.value),
                  })
                }
                options={dialects.map((value) => ({ value, label: t(`dialects.${value}`) }))}
              />
            </Field>
            <KeyFields secret={secret} value={search.key} onChange={(key) => change({ key })} asked={asked} />
          </div>
        </Card>
        <Card className="max-lg:order-3">
          <div className="flex flex-col gap-4">
            <Field label={t("system")}>
              <Textarea rows={3} value={system} onChange={(event) => setSystem(event.target.value)} />
            </Field>
            <div className="grid grid-cols-3 gap-2">
              {(["temperature", "topP", "maxTokens"] as const).map((name) => (
                <Field key={name} label={t(name)}>
                  <Input
                    type="number"
                    min={0}
                    step={name === "maxTokens" ? 1 : 0.1}
                    max={name === "maxTokens" ? undefined : name === "topP" ? 1 : 2}
                    placeholder={t("standard")}
                    value={numbers[name]}
                    onChange={(event) => setNumbers({ ...numbers, [name]: event.target.value })}
                  />
                </Field>
              ))}
            </div>
            <Field
              label={t("tools")}
              help={t("toolsHelp")}
              error={tools === undefined ? t("toolsWrong") : undefined}
              aside={
                toolText === "" && (
                  <button
                    type="button"
                    className="rounded text-xs text-accent hover:underline"
                    onClick={() => setToolText(exampleTools)}
                  >
                    {t("toolsExample")}
                  </button>
                )
              }
            >
              <Textarea
                rows={toolText ? 8 : 2}
                spellCheck={false}
                className="font-mono text-xs!"
                value={toolText}
                onChange={(event) => setToolText(event.target.value)}
              />
            </Field>
            <Checkbox label={t("stream")} checked={stream} onChange={(event) => setStream(event.target.checked)} />
          </div>
        </Card>
      </div>
    </Page>
  );
}

interface Secret {
  /** The key's value; empty while there is none. */
  value: string;
  /** Whether the server does not tell it, so that it must be pasted. */
  pasted: boolean;
  paste: (value: string) => void;
  text: string;
}

/** The value of a key: as the server tells it, or as pasted, which is kept on this page only. */
function useSecret(id: number | undefined): Secret {
  const key = useQuery(keyNameQuery(id ?? 0));
  const [text, setText] = useState("");
  const told = id && key.data && !key.data.key.includes("…") ? key.data.key : "";
  return { value: told || text.trim(), pasted: told === "", paste: setText, text };
}

function KeyFields({
  secret,
  value,
  onChange,
  asked,
}: {
  secret: Secret;
  value: number | undefined;
  onChange: (key: number | undefined) => void;
  asked: boolean;
}) {
  const { t } = useTranslation("playground");
  const [text, setText] = useState("");
  const choices = useQuery(keyChoicesQuery(text));
  const chosen = useQuery(keyNameQuery(value ?? 0));
  const [own, setOwn] = useState(false);
  const options = (choices.data?.items ?? []).map((key) => ({
    value: String(key.id),
    label: key.name,
    note: `…${key.key.slice(-4)}`,
  }));
  if (value && !options.some((option) => option.value === String(value))) {
    options.unshift({ value: String(value), label: chosen.data?.name ?? `#${value}`, note: "" });
  }
  return (
    <>
      <Field
        label={t("key")}
        group
        help={own ? undefined : t("keyHelp")}
        error={asked && secret.value === "" ? t("keyNeeded") : undefined}
      >
        <Segments
          label={t("key")}
          value={own ? "paste" : "pick"}
          onChange={(to) => {
            setOwn(to === "paste");
            if (to === "paste") onChange(undefined);
          }}
          options={[
            { value: "pick", label: t("keyPick") },
            { value: "paste", label: t("keyPaste") },
          ]}
        />
        {!own && (
          <Combobox
            aria-label={t("key")}
            placeholder={t("keyChoose")}
            options={options}
            value={value ? String(value) : ""}
            onText={setText}
            onChange={(key) => onChange(Number(key) || undefined)}
          />
        )}
      </Field>
      {(own || (value !== undefined && chosen.data && secret.pasted)) && (
        <Field label={t("keyValue")} help={t("keyValueHelp")}>
          <Input
            type="password"
            autoComplete="off"
            spellCheck={false}
            placeholder="sk-…"
            value={secret.text}
            onChange={(event) => secret.paste(event.target.value)}
          />
        </Field>
      )}
    </>
  );
}

function CallResult({ call, onResult }: { call: Call; onResult: (result: string) => void }) {
  const { t } = useTranslation("playground");
  const [text, setText] = useState("");
  return (
    <form
      className="flex flex-col gap-2 rounded-md border p-3"
      onSubmit={(event) => {
        event.preventDefault();
        onResult(text);
      }}
    >
      <Field label={t("toolResult", { name: call.name })}>
        <Textarea rows={2} value={text} onChange={(event) => setText(event.target.value)} />
      </Field>
      <Button type="submit" className="self-end">
        {t("sendResult")}
      </Button>
    </form>
  );
}

function ImageButton({ onImages }: { onImages: (images: Image[]) => void }) {
  const { t } = useTranslation("playground");
  const input = useRef<HTMLInputElement>(null);
  return (
    <>
      <input
        ref={input}
        type="file"
        accept="image/png,image/jpeg,image/webp,image/gif"
        multiple
        hidden
        aria-label={t("addImage")}
        onChange={async (event) => {
          const files = [...(event.target.files ?? [])];
          event.target.value = "";
          onImages(await Promise.all(files.map(readImage)));
        }}
      />
      <Button look="quiet" icon={<ImagePlus aria-hidden className="size-3.5" />} onClick={() => input.current?.click()}>
        {t("addImage")}
      </Button>
    </>
  );
}

function readImage(file: File): Promise<Image> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve({ type: file.type, base64: String(reader.result).split(",", 2)[1] ?? "" });
    reader.onerror = () => reject(reader.error ?? new Error(file.name));
    reader.readAsDataURL(file);
  });
}

function numberOf(text: string): number | undefined {
  const value = Number(text);
  return text.trim() === "" || !Number.isFinite(value) ? undefined : value;
}

/** The tools of a JSON text; undefined when it has none. */
function readTools(text: string): Tool[] | undefined {
  if (text.trim() === "") return [];
  try {
    const list: unknown = JSON.parse(text);
    if (Array.isArray(list) && list.every((one) => typeof one?.name === "string")) return list as Tool[];
  } catch {
    // told beside the field
  }
  return undefined;
}

const exampleTools = JSON.stringify(
  [
    {
      name: "get_weather",
      description: "The weather in a city",
      parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
    },
  ],
  null,
  2,
);
