import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { Pencil, Plus, Trash2 } from "lucide-react";
import { type FormEvent, useMemo, useState } from "react";
import { useTranslation } from "react-i18next";
import { api, data, type Schemas } from "@/api/client";
import { ApiError, errorOf } from "@/api/error";
import { groupsQuery } from "@/api/queries";
import { useFormat } from "@/format/format";
import { LimitFields } from "@/screens/limits/fields";
import { limitsGood, limitsOf, limitsPatch, rates } from "@/screens/limits/limits";
import { Button, IconButton } from "@/ui/button";
import { TokenInput } from "@/ui/combobox";
import { Dialog, SidePanel } from "@/ui/dialog";
import { Field } from "@/ui/field";
import { Form, focusWrong, useAsFilled } from "@/ui/form";
import { Input, Segments, Select } from "@/ui/input";
import { Page } from "@/ui/page";
import { Problem } from "@/ui/problem";
import { Empty } from "@/ui/states";
import { type Column, Table } from "@/ui/table";
import { toast } from "@/ui/toast";
import { audienceOf, usableBy } from "./audience";

type Group = Schemas["Group"];
const strategies = ["weighted", "least-latency", "least-busy", "cheapest"] as const;
const route = getRouteApi("/app/admin/groups");

/** Groups: what they cost, who may use them, how they choose among channels. */
export function GroupsScreen() {
  const { t } = useTranslation("groups");
  const { t: limitText } = useTranslation("limits");
  const { number } = useFormat();
  const groups = useQuery(groupsQuery);
  const { group: opened } = route.useSearch();
  const navigate = route.useNavigate();
  const [creating, setCreating] = useState(false);
  const [deleting, setDeleting] = useState<Group>();
  const editing = groups.data?.find((one) => one.name === opened);
  const columns = useMemo<Column<Group>[]>(
    () => [
      {
        id: "name",
        header: t("column.name"),
        yields: true,
        cell: (group) => (
          <div className="sm:max-w-72 sm:min-w-24">
            <Link
              to="/groups"
              search={{ group: group.name }}
              className="block truncate rounded font-medium hover:underline"
            >
              {group.name}
            </Link>
            {group.desc && <span className="block truncate text-xs text-faint">{group.desc}</span>}
          </div>
        ),
      },
      { id: "ratio", header: t("column.ratio"), align: "right", cell: (group) => `×${group.ratio}` },
      {
        id: "usableBy",
        header: t("column.usableBy"),
        from: "md",
        cell: (group) => {
          const by = audienceOf(group.usable_by);
          if (by.all) return t("audience.all");
          const parts = [
            ...by.groups,
            ...(by.users.length > 0 ? [t("audience.users", { count: by.users.length })] : []),
          ];
          return <span className="block max-w-56 truncate">{parts.join(", ") || t("audience.nobody")}</span>;
        },
      },
      { id: "strategy", header: t("column.strategy"), from: "sm", cell: (group) => t(`strategy.${group.strategy}`) },
      {
        id: "limits",
        header: t("column.limits"),
        from: "lg",
        cell: (group) => {
          const set = rates.filter((rate) => group.limits[rate] !== null);
          const models = Object.keys(group.limits.per_model ?? {}).length;
          if (set.length === 0 && models === 0) return <span className="text-faint">—</span>;
          return (
            <span className="block max-w-96 truncate text-soft">
              {[
                ...set.map((rate) => `${number(group.limits[rate] ?? 0)} ${limitText(`${rate}Short`)}`),
                ...(models > 0 ? [limitText("models", { count: models })] : []),
              ].join(" · ")}
            </span>
          );
        },
      },
      {
        id: "actions",
        header: <span className="sr-only">{t("column.actions")}</span>,
        align: "right",
        cell: (group) => (
          <span className="flex justify-end">
            <IconButton
              label={t("edit.title", { name: group.name })}
              onClick={() => void navigate({ search: { group: group.name } })}
            >
              <Pencil aria-hidden className="size-3.5" />
            </IconButton>
            <IconButton
              label={t("delete.title", { name: group.name })}
              disabled={group.name === "default"}
              onClick={() => setDeleting(group)}
            >
              <Trash2 aria-hidden className="size-3.5" />
            </IconButton>
          </span>
        ),
      },
    ],
    [t, limitText, number, navigate],
  );
  return (
    <Page
      title={t("title")}
      description={t("help")}
      actions={
        <Button look="primary" icon={<Plus aria-hidden className="size-3.5" />} onClick={() => setCreating(true)}>
          {t("new.action")}
        </Button>
      }
    >
      <div className="rounded-lg border">
        <Table
          label={t("title")}
          columns={columns}
          rows={groups.data}
          rowId={(group) => group.name}
          error={groups.error}
          retry={() => void groups.refetch()}
          onRow={(group) => void navigate({ search: { group: group.name } })}
          empty={<Empty title={t("empty")} />}
        />
      </div>
      <GroupPanel
        open={creating || editing !== undefined}
        group={creating ? undefined : editing}
        all={groups.data ?? []}
        onClose={() => {
          setCreating(false);
          if (opened) void navigate({ search: {} });
        }}
      />
      {deleting && <DeleteGroup group={deleting} all={groups.data ?? []} onClose={() => setDeleting(undefined)} />}
    </Page>
  );
}

interface PanelProps {
  open: boolean;
  group: Group | undefined;
  all: readonly Group[];
  onClose: () => void;
}

function GroupPanel({ open, group, all, onClose }: PanelProps) {
  const { t } = useTranslation("groups");
  return (
    <SidePanel
      open={open}
      onOpenChange={(to) => !to && onClose()}
      holds
      title={group ? t("edit.title", { name: group.name }) : t("new.title")}
    >
      {open && <GroupFields key={group?.name ?? ""} group={group} all={all} onClose={onClose} />}
    </SidePanel>
  );
}

function GroupFields({ group: current, all, onClose }: Omit<PanelProps, "open">) {
  const { t } = useTranslation("groups");
  const { t: common } = useTranslation();
  const queries = useQueryClient();
  const group = useAsFilled(current);
  const before = useMemo(() => limitsOf(group?.limits), [group]);
  const [name, setName] = useState("");
  const [ratio, setRatio] = useState(group?.ratio ?? "1");
  const [desc, setDesc] = useState(group?.desc ?? "");
  const [audience, setAudience] = useState(() => audienceOf(group?.usable_by ?? "all"));
  const [strategy, setStrategy] = useState<Group["strategy"]>(group?.strategy ?? "weighted");
  const [limits, setLimits] = useState(before);
  const save = useMutation({
    mutationFn: () => {
      const patch = limitsPatch(limits, before);
      const body = {
        ratio: ratio.trim(),
        desc: desc.trim(),
        usable_by: usableBy(audience),
        strategy,
        ...(patch && { limits: patch }),
      };
      return group
        ? data(
            api.PATCH("/api/group/{name}", {
              params: { path: { name: group.name } },
              headers: { "If-Match": `"${group.version}"` },
              body,
            }),
          )
        : data(api.POST("/api/group/", { body: { name: name.trim(), ...body } }));
    },
    onError: () => void queries.invalidateQueries({ queryKey: ["groups"] }), // it may be another by now
    onSuccess: async (saved) => {
      await queries.invalidateQueries({ queryKey: ["groups"] });
      toast(group ? t("edit.done", { name: saved.name }) : t("new.done", { name: saved.name }));
      onClose();
    },
  });
  const fault = save.error;
  const told = fault instanceof ApiError && fault.param !== undefined;
  return (
    <Form
      error={save.error}
      className="flex min-h-full flex-col gap-4"
      onSubmit={(event: FormEvent) => {
        event.preventDefault();
        if (!limitsGood(limits)) return focusWrong(event.currentTarget as HTMLFormElement);
        if (!save.isPending) save.mutate();
      }}
    >
      {!group && (
        <Field label={t("field.name")} required help={t("field.nameHelp")} error={errorOf(fault, "name")}>
          <Input value={name} onChange={(event) => setName(event.target.value)} autoComplete="off" />
        </Field>
      )}
      <Field label={t("field.ratio")} help={t("field.ratioHelp")} error={errorOf(fault, "ratio")}>
        <Input inputMode="decimal" lead="×" value={ratio} onChange={(event) => setRatio(event.target.value)} />
      </Field>
      <Field label={t("field.desc")} help={t("field.descHelp")} error={errorOf(fault, "desc")}>
        <Input value={desc} onChange={(event) => setDesc(event.target.value)} />
      </Field>
      <Field label={t("field.usableBy")} error={errorOf(fault, "usable_by")} group>
        <Segments<"all" | "some">
          label={t("field.usableBy")}
          value={audience.all ? "all" : "some"}
          onChange={(to) => setAudience({ ...audience, all: to === "all" })}
          options={(["all", "some"] as const).map((value) => ({ value, label: t(`audience.${value}`) }))}
        />
      </Field>
      {!audience.all && (
        <div className="grid gap-4 sm:grid-cols-2">
          <Field label={t("field.audienceGroups")} help={t("field.audienceGroupsHelp")}>
            <TokenInput
              options={all.map((one) => one.name)}
              values={audience.groups}
              onChange={(groups) => setAudience({ ...audience, groups })}
            />
          </Field>
          <Field label={t("field.audienceUsers")} help={t("field.audienceUsersHelp")}>
            <TokenInput
              options={[]}
              values={audience.users}
              check={(value) => (/^[1-9]\d*$/.test(value) ? undefined : t("field.audienceUsersWrong"))}
              onChange={(users) => setAudience({ ...audience, users })}
            />
          </Field>
        </div>
      )}
      <Field label={t("field.strategy")} help={t(`strategyHelp.${strategy}`)} error={errorOf(fault, "strategy")}>
        <Select
          value={strategy}
          onChange={(event) => setStrategy(event.target.value as Group["strategy"])}
          options={strategies.map((value) => ({ value, label: t(`strategy.${value}`) }))}
        />
      </Field>
      <div>
        <h3 className="border-b pb-1.5 text-sm font-semibold">{t("field.limits")}</h3>
        <p className="mt-1.5 text-xs text-soft">{t("field.limitsHelp")}</p>
      </div>
      <LimitFields value={limits} onChange={setLimits} error={fault} />
      {!told && <Problem error={fault} />}
      {told && !errorOf(fault, "name", "ratio", "desc", "usable_by", "strategy", "limits") && <Problem error={fault} />}
      <div className="sticky -bottom-6 -mx-5 mt-auto -mb-6 flex justify-end gap-2 border-t bg-raised px-5 py-3">
        <Button onClick={onClose}>{common("action.cancel")}</Button>
        <Button type="submit" look="primary" busy={save.isPending}>
          {group ? common("action.save") : common("action.create")}
        </Button>
      </div>
    </Form>
  );
}

function DeleteGroup({ group, all, onClose }: { group: Group; all: readonly Group[]; onClose: () => void }) {
  const { t } = useTranslation("groups");
  const { t: common } = useTranslation();
  const queries = useQueryClient();
  const [to, setTo] = useState("");
  const remove = useMutation({
    mutationFn: () =>
      data(
        api.DELETE("/api/group/{name}", {
          params: { path: { name: group.name }, query: to ? { move_to: to } : {} },
        }),
      ),
    onSuccess: async () => {
      await queries.invalidateQueries();
      toast(t("delete.done", { name: group.name }));
      onClose();
    },
  });
  return (
    <Dialog
      open
      onOpenChange={(open) => !open && onClose()}
      title={t("delete.title", { name: group.name })}
      footer={
        <>
          <Button onClick={onClose}>{common("action.cancel")}</Button>
          <Button look="danger" busy={remove.isPending} onClick={() => remove.mutate()}>
            {common("action.delete")}
          </Button>
        </>
      }
    >
      <div className="flex flex-col gap-4 text-sm">
        <p className="text-soft">{t("delete.help")}</p>
        <Field label={t("delete.moveTo")}>
          <Select
            value={to}
            onChange={(event) => setTo(event.target.value)}
            options={[
              { value: "", label: t("delete.nothing") },
              ...all.filter((one) => one.name !== group.name).map((one) => ({ value: one.name, label: one.name })),
            ]}
          />
        </Field>
        <Problem error={remove.error} />
      </div>
    </Dialog>
  );
}
