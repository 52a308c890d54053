// The compiler checks what index.d.ts declares against the types that it infers from the JavaScript.

import type * as declared from "../../runtime/web/index.js";
import * as learn from "../../runtime/web/learn.js";
import * as plain from "../../runtime/web/plain.js";
import * as separate from "../../runtime/web/separate.js";

plain satisfies typeof declared;
separate satisfies typeof declared;
learn.TextgenError satisfies typeof declared.TextgenError;
