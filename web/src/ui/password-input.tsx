import { Eye, EyeOff } from "lucide-react";
import { type ComponentProps, useState } from "react";
import { useTranslation } from "react-i18next";
import { Input } from "./input";

/** A password, which can be looked at while it is typed. */
export function PasswordInput(props: Omit<ComponentProps<typeof Input>, "type" | "trail">) {
  const { t } = useTranslation();
  const [shown, setShown] = useState(false);
  const Icon = shown ? EyeOff : Eye;
  return (
    <Input
      {...props}
      type={shown ? "text" : "password"}
      autoCapitalize="none"
      spellCheck={false}
      trail={
        <button
          type="button"
          aria-label={t("password.show")}
          aria-pressed={shown}
          title={t("password.show")}
          onClick={() => setShown(!shown)}
          className="-mr-1.5 flex size-7 items-center justify-center rounded text-soft hover:text-ink max-sm:size-9"
        >
          <Icon aria-hidden className="size-4" />
        </button>
      }
    />
  );
}
