import "i18next";
import type common from "./en/common.json";
import type keys from "./en/keys.json";
import type settings from "./en/settings.json";
import type signIn from "./en/sign-in.json";

// A line per catalog makes its keys known to the compiler.
declare module "i18next" {
  interface CustomTypeOptions {
    defaultNS: "common";
    enableSelector: false;
    resources: {
      common: typeof common;
      keys: typeof keys;
      settings: typeof settings;
      "sign-in": typeof signIn;
    };
  }
}
