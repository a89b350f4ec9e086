import { Dialog as Radix } from "radix-ui";
import { type ComponentProps, useState } from "react";

/**
 * The content of a modal layer. When it goes, the focus returns to what had it
 * before: our layers have no Trigger, from which Radix would know that.
 */
export function ModalContent(props: ComponentProps<typeof Radix.Content>) {
  const [opener] = useState(openerNow);
  return (
    <Radix.Content
      {...props}
      // React's events rise to what the layer is written in, not only to what it
      // stands in: a form around it is not sent with the form inside.
      onSubmit={(event) => event.stopPropagation()}
      onOpenAutoFocus={(event) => {
        // Comes only where no field took the focus: then the layer has it, whose
        // name is read, rather than the button that closes it.
        event.preventDefault();
        if (event.target instanceof HTMLElement) event.target.focus();
      }}
      onCloseAutoFocus={(event) => {
        event.preventDefault();
        // What opened it may be gone by then, such as the row that was deleted.
        const target = opener?.isConnected ? opener : document.getElementById("content");
        target?.focus();
      }}
    />
  );
}

/** What has the focus now; of a menu, which closes, the button that opened it. */
function openerNow(): HTMLElement | null {
  const focused = document.activeElement;
  const trigger = focused?.closest("[role=menu]")?.getAttribute("aria-labelledby");
  const opener = trigger ? document.getElementById(trigger) : focused;
  return opener instanceof HTMLElement && opener !== document.body ? opener : null;
}
