import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useMemo, useState } from "react";
import { useTranslation } from "react-i18next";
import { api, data, type Schemas } from "@/api/client";
import { errorOf } from "@/api/error";
import { groupsQuery, selfQuery } from "@/api/queries";
import { parseUsd } from "@/format/money";
import { BudgetFields, budgetsBody, budgetsOf } from "@/screens/limits/budgets";
import { LimitFields } from "@/screens/limits/fields";
import { limitsGood, limitsOf, limitsPatch } from "@/screens/limits/limits";
import { Button } from "@/ui/button";
import { SidePanel } from "@/ui/dialog";
import { Field } from "@/ui/field";
import { Form, focusWrong, useAsFilled } from "@/ui/form";
import { Checkbox, Input, Select } from "@/ui/input";
import { Problem } from "@/ui/problem";
import { toast } from "@/ui/toast";
import { usersKey } from "./queries";

type User = Schemas["User"];

interface Props {
  open: boolean;
  onClose: () => void;
  user?: User | undefined;
}

/** Makes or changes a user. */
export function UserPanel({ open, onClose, user }: Props) {
  const { t } = useTranslation("users");
  return (
    <SidePanel
      open={open}
      onOpenChange={(to) => !to && onClose()}
      holds
      title={user ? t("edit.title", { name: user.username }) : t("new.title")}
    >
      {open && <UserFields user={user} onClose={onClose} />}
    </SidePanel>
  );
}

function UserFields({ user: current, onClose }: Omit<Props, "open">) {
  const { t } = useTranslation("users");
  const { t: common } = useTranslation();
  const queries = useQueryClient();
  const { data: self } = useQuery(selfQuery);
  const groups = useQuery(groupsQuery);
  const user = useAsFilled(current);
  const before = useMemo(() => limitsOf(user?.limits), [user]);
  const budgetsBefore = useMemo(() => budgetsOf(user?.limits.budgets), [user]);
  const [username, setUsername] = useState("");
  const [password, setPassword] = useState("");
  const [displayName, setDisplayName] = useState(user?.display_name ?? "");
  const [email, setEmail] = useState(user?.email ?? "");
  const [role, setRole] = useState<User["role"]>(user?.role ?? "user");
  const [group, setGroup] = useState(user?.group ?? "default");
  const [unlimited, setUnlimited] = useState(user?.unlimited_quota ?? false);
  const [quota, setQuota] = useState("");
  const [limits, setLimits] = useState(before);
  const [budgets, setBudgets] = useState(budgetsBefore);
  const quotaUnits = parseUsd(quota);
  const wrongQuota = quota.trim() !== "" && quotaUnits === undefined;
  const save = useMutation({
    mutationFn: () => {
      const rates = limitsPatch(limits, before);
      const budgetsChanged = JSON.stringify(budgets) !== JSON.stringify(budgetsBefore);
      const patch = {
        ...rates,
        ...(budgetsChanged && { budgets: budgetsBody(budgets) }),
      } as Schemas["AccountLimitsPatch"];
      const withLimits = rates || budgetsChanged ? { limits: patch } : {};
      if (!user) {
        return data(
          api.POST("/api/user/", {
            body: {
              username: username.trim(),
              password,
              must_change_password: true,
              display_name: displayName.trim(),
              email: email.trim(),
              role: role === "admin" ? "admin" : "user",
              group,
              unlimited_quota: unlimited,
              ...(!unlimited && quotaUnits !== undefined && { quota: quotaUnits }),
              ...withLimits,
            },
          }),
        );
      }
      const body: Schemas["UserPatchBody"] = {
        ...(displayName.trim() !== user.display_name && { display_name: displayName.trim() }),
        ...(email.trim() !== user.email && { email: email.trim() }),
        ...(role !== user.role && { role }),
        ...(group !== user.group && { group }),
        ...(unlimited !== user.unlimited_quota && { unlimited_quota: unlimited }),
        ...(password && { password, must_change_password: true }),
        ...withLimits,
      };
      return data(api.PATCH("/api/user/{id}", { params: { path: { id: user.id } }, body }));
    },
    onSuccess: async (saved) => {
      await queries.invalidateQueries({ queryKey: usersKey });
      toast(user ? t("edit.done", { name: saved.username }) : t("new.done", { name: saved.username }));
      onClose();
    },
  });
  const fault = save.error;
  const told = (...names: string[]) => errorOf(fault, ...names);
  const placed = told("username", "password", "display_name", "email", "role", "group", "quota", "limits");
  const roles = (["user", "admin", "root"] as const).filter(
    (one) =>
      one === role ||
      (one !== "root" && (self?.role === "root" || one === "user")) ||
      (one === "root" && user && self?.role === "root"),
  );
  return (
    <Form
      error={save.error}
      className="flex min-h-full flex-col gap-4"
      onSubmit={(event: FormEvent) => {
        event.preventDefault();
        const wrong = wrongQuota || budgetsBody(budgets) === undefined || !limitsGood(limits);
        if (wrong) return focusWrong(event.currentTarget as HTMLFormElement);
        if (!save.isPending) save.mutate();
      }}
    >
      {!user && (
        <Field label={t("field.username")} required help={t("field.usernameHelp")} error={told("username")}>
          <Input value={username} onChange={(event) => setUsername(event.target.value)} autoComplete="off" />
        </Field>
      )}
      <div className="grid gap-4 sm:grid-cols-2">
        <Field label={t("field.displayName")} error={told("display_name")}>
          <Input value={displayName} onChange={(event) => setDisplayName(event.target.value)} autoComplete="off" />
        </Field>
        <Field label={t("field.email")} error={told("email")}>
          <Input type="email" value={email} onChange={(event) => setEmail(event.target.value)} autoComplete="off" />
        </Field>
        <Field label={t("field.role")} help={t(`roleHelp.${role}`)} error={told("role")}>
          <Select
            value={role}
            onChange={(event) => setRole(event.target.value as User["role"])}
            options={roles.map((one) => ({ value: one, label: common(`role.${one}`) }))}
          />
        </Field>
        <Field label={t("field.group")} help={t("field.groupHelp")} error={told("group")}>
          <Select
            value={group}
            onChange={(event) => setGroup(event.target.value)}
            options={[...new Set([group, ...(groups.data ?? []).map((one) => one.name)])].map((name) => ({
              value: name,
              label: name,
            }))}
          />
        </Field>
      </div>
      <Field
        label={user ? t("field.newPassword") : t("field.password")}
        required={!user}
        help={user ? t("field.newPasswordHelp") : t("field.passwordHelp")}
        error={told("password")}
      >
        <Input
          type="password"
          value={password}
          onChange={(event) => setPassword(event.target.value)}
          autoComplete="new-password"
        />
      </Field>
      <Checkbox
        label={t("field.unlimited")}
        help={t("field.unlimitedHelp")}
        checked={unlimited}
        onChange={(event) => setUnlimited(event.target.checked)}
      />
      {!user && !unlimited && (
        <Field
          label={t("field.quota")}
          help={t("field.quotaHelp")}
          error={wrongQuota ? t("field.amountWrong") : told("quota")}
        >
          <Input inputMode="decimal" lead="$" value={quota} onChange={(event) => setQuota(event.target.value)} />
        </Field>
      )}
      <div>
        <h3 className="border-b pb-1.5 text-sm font-semibold">{t("field.limits")}</h3>
        <p className="mt-1.5 text-xs text-soft">{t("field.limitsHelp")}</p>
      </div>
      <BudgetFields value={budgets} onChange={setBudgets} error={told("limits.budgets")} />
      <LimitFields value={limits} onChange={setLimits} error={fault} />
      {!placed && <Problem error={fault} />}
      <div className="sticky -bottom-6 -mx-5 mt-auto -mb-6 flex justify-end gap-2 border-t bg-raised px-5 py-3">
        <Button onClick={onClose}>{common("action.cancel")}</Button>
        <Button type="submit" look="primary" busy={save.isPending}>
          {user ? common("action.save") : common("action.create")}
        </Button>
      </div>
    </Form>
  );
}
