import "i18next";
import type audit from "./en/audit.json";
import type channels from "./en/channels.json";
import type common from "./en/common.json";
import type groups from "./en/groups.json";
import type keys from "./en/keys.json";
import type limits from "./en/limits.json";
import type models from "./en/models.json";
import type options from "./en/options.json";
import type overview from "./en/overview.json";
import type playground from "./en/playground.json";
import type prices from "./en/prices.json";
import type settings from "./en/settings.json";
import type signIn from "./en/sign-in.json";
import type system from "./en/system.json";
import type usage from "./en/usage.json";
import type users from "./en/users.json";

// A line per catalog makes its keys known to the compiler.
declare module "i18next" {
  interface CustomTypeOptions {
    defaultNS: "common";
    enableSelector: false;
    resources: {
      audit: typeof audit;
      channels: typeof channels;
      common: typeof common;
      groups: typeof groups;
      keys: typeof keys;
      limits: typeof limits;
      models: typeof models;
      options: typeof options;
      overview: typeof overview;
      playground: typeof playground;
      prices: typeof prices;
      settings: typeof settings;
      "sign-in": typeof signIn;
      system: typeof system;
      usage: typeof usage;
      users: typeof users;
    };
  }
}
