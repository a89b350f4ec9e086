import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { api, data, type Schemas } from "@/api/client";
import { toast, toastProblem } from "@/ui/toast";
import { channelsKey } from "./queries";

type Which = { ids: number[] } | { tag: string };

/** What is done with channels, several at once included. Disabling can be undone. */
export function useChannelActions() {
  const { t } = useTranslation("channels");
  const { t: common } = useTranslation();
  const queries = useQueryClient();
  const settled = () => queries.invalidateQueries({ queryKey: channelsKey });
  const bulk = useMutation({
    mutationFn: (body: { action: NonNullable<Schemas["BulkBody"]["action"]> } & Which) =>
      data(api.POST("/api/channel/bulk", { body: body as Schemas["BulkBody"] })),
    onSuccess: async ({ changed }, { action }) => {
      await settled();
      const count = changed.length;
      if (action === "disable" && count > 0) {
        toast(t("done.disable", { count }), {
          label: common("action.undo"),
          run: () => bulk.mutate({ action: "enable", ids: changed }),
        });
      } else {
        toast(t(`done.${action}`, { count }));
      }
    },
    onError: async (error) => {
      await settled(); // some may have been changed
      toastProblem(error);
    },
  });
  const duplicate = useMutation({
    mutationFn: (id: number) => data(api.POST("/api/channel/{id}/duplicate", { params: { path: { id } } })),
    onSuccess: async (made) => {
      await settled();
      toast(t("done.duplicate", { name: made.name }));
    },
    onError: toastProblem,
  });
  return { bulk, duplicate };
}
