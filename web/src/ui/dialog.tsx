import { X } from "lucide-react";
import { Dialog as Radix } from "radix-ui";
import { type ReactNode, useState } from "react";
import { useTranslation } from "react-i18next";
import { Button, IconButton } from "./button";
import { Field } from "./field";
import { Input } from "./input";
import { ModalContent } from "./modal-content";
import { Problem } from "./problem";

// Radix's own Overlay blocks scrolling with a style element, which the page's
// policy forbids. Ours is a plain element; [data-modal] blocks it in styles.css.
function Veil() {
  return <div aria-hidden data-modal className="fixed inset-0 z-40 animate-in bg-veil" />;
}

interface LayerProps {
  open: boolean;
  onOpenChange: (open: boolean) => void;
  title: ReactNode;
  description?: ReactNode;
  children: ReactNode;
  /** Buttons, at the bottom. */
  footer?: ReactNode;
  /** Whether a click beside it or Escape leaves it open: for what must not be lost. */
  holds?: boolean;
}

function holding(holds: boolean | undefined) {
  return holds
    ? { onPointerDownOutside: stay, onInteractOutside: stay, onEscapeKeyDown: stay }
    : { onInteractOutside: stayForToasts, onEscapeKeyDown: stayForLists };
}
function stay(event: Event) {
  event.preventDefault();
}
/** Escape closes an open list of suggestions before it closes what is around it. */
function stayForLists(event: KeyboardEvent) {
  if (event.target instanceof Element && event.target.matches("[role=combobox][aria-expanded=true]"))
    event.preventDefault();
}
function stayForToasts(event: Event) {
  const target = (event as CustomEvent<{ originalEvent: Event }>).detail?.originalEvent?.target;
  if (target instanceof Element && target.closest("[data-toasts]")) event.preventDefault();
}

/** A dialog in the middle, for a question or something short. */
export function Dialog({
  open,
  onOpenChange,
  title,
  description,
  children,
  footer,
  holds,
  wide,
}: LayerProps & { wide?: boolean }) {
  return (
    <Radix.Root open={open} onOpenChange={onOpenChange}>
      <Radix.Portal>
        <Veil />
        <ModalContent
          {...holding(holds)}
          {...(description ? {} : { "aria-describedby": undefined })}
          className={`fixed left-1/2 top-[10vh] z-50 flex max-h-[82dvh] ${wide ? "w-[min(44rem,calc(100vw-2rem))]" : "w-[min(30rem,calc(100vw-2rem))]"} -translate-x-1/2 animate-in flex-col rounded-lg border bg-raised shadow-pop outline-none`}
        >
          <Head title={title} description={description} holds={holds} />
          <div className="thin-scrollbar min-h-0 overflow-y-auto px-5 pb-5">{children}</div>
          {footer && <div className="flex flex-wrap justify-end gap-2 border-t px-5 py-3">{footer}</div>}
        </ModalContent>
      </Radix.Portal>
    </Radix.Root>
  );
}

/** A panel at the right edge, for forms and for everything about one row. */
export function SidePanel({
  open,
  onOpenChange,
  title,
  description,
  children,
  footer,
  holds,
  wide,
}: LayerProps & { wide?: boolean }) {
  return (
    <Radix.Root open={open} onOpenChange={onOpenChange}>
      <Radix.Portal>
        <Veil />
        <ModalContent
          {...holding(holds)}
          {...(description ? {} : { "aria-describedby": undefined })}
          className={`fixed inset-y-0 right-0 z-50 flex w-full ${wide ? "sm:w-[46rem]" : "sm:w-[32rem]"} max-w-full animate-slide flex-col border-l bg-raised shadow-pop outline-none`}
        >
          <Head title={title} description={description} holds={false} />
          <div className="thin-scrollbar min-h-0 flex-1 overflow-y-auto px-5 pb-6">{children}</div>
          {footer && <div className="flex flex-wrap justify-end gap-2 border-t px-5 py-3">{footer}</div>}
        </ModalContent>
      </Radix.Portal>
    </Radix.Root>
  );
}

function Head({ title, description, holds }: Pick<LayerProps, "title" | "description" | "holds">) {
  const { t } = useTranslation();
  return (
    <div className="flex items-start gap-3 px-5 pt-4 pb-3">
      <div className="min-w-0 flex-1">
        <Radix.Title className="min-h-8 content-center text-lg font-semibold break-words max-sm:min-h-10">
          {title}
        </Radix.Title>
        {description && <Radix.Description className="text-sm text-soft">{description}</Radix.Description>}
      </div>
      {!holds && (
        <Radix.Close asChild>
          <IconButton label={t("action.close")} className="-mr-2">
            <X aria-hidden className="size-4" />
          </IconButton>
        </Radix.Close>
      )}
    </div>
  );
}

interface ConfirmProps {
  open: boolean;
  onOpenChange: (open: boolean) => void;
  title: ReactNode;
  /** What will happen, and to what. */
  children?: ReactNode;
  action: string;
  /** What has to be typed first; nothing when it is left out. */
  typed?: string;
  danger?: boolean;
  onConfirm: () => void;
  busy?: boolean;
  error?: unknown;
}

/** Asks before something is done, and lets the viewer type its name where there is no way back. */
export function Confirm({
  open,
  onOpenChange,
  title,
  children,
  action,
  typed,
  danger,
  onConfirm,
  busy,
  error,
}: ConfirmProps) {
  const { t } = useTranslation();
  const [text, setText] = useState("");
  const [past, setPast] = useState<unknown>(); // what was refused when it was last open
  const ready = typed === undefined || text.trim() === typed.trim();
  const change = (to: boolean) => {
    setText("");
    setPast(error);
    onOpenChange(to);
  };
  return (
    <Dialog
      open={open}
      onOpenChange={change}
      title={title}
      footer={
        <>
          <Button onClick={() => change(false)}>{t("action.cancel")}</Button>
          <Button form="confirm" type="submit" look={danger ? "danger" : "primary"} disabled={!ready} busy={busy}>
            {action}
          </Button>
        </>
      }
    >
      <form
        id="confirm"
        className="flex flex-col gap-4 text-sm text-soft"
        onSubmit={(event) => {
          event.preventDefault();
          if (ready && !busy) onConfirm();
        }}
      >
        {children}
        {typed !== undefined && (
          <Field label={t("confirm.type", { name: typed })}>
            <Input
              value={text}
              onChange={(event) => setText(event.target.value)}
              autoComplete="off"
              spellCheck={false}
              autoFocus
            />
          </Field>
        )}
        <Problem error={error === past ? undefined : error} />
      </form>
    </Dialog>
  );
}
