import "i18next";
import type common from "./en/common.json";
import type keys from "./en/keys.json";
import type models from "./en/models.json";
import type overview from "./en/overview.json";
import type playground from "./en/playground.json";
import type settings from "./en/settings.json";
import type signIn from "./en/sign-in.json";
import type usage from "./en/usage.json";

// A line per catalog makes its keys known to the compiler.
declare module "i18next" {
  interface CustomTypeOptions {
    defaultNS: "common";
    enableSelector: false;
    resources: {
      common: typeof common;
      keys: typeof keys;
      models: typeof models;
      overview: typeof overview;
      playground: typeof playground;
      settings: typeof settings;
      "sign-in": typeof signIn;
      usage: typeof usage;
    };
  }
}
