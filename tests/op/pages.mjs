// The provider's own pages: password, second factor, consent, device code. No script, no outside resource; every value is escaped.

import { people } from './people.mjs';
import { aboutYou, isStepUp, scopesOf } from './scopes.mjs';

/** Text as it may stand in HTML, in an attribute too. */
export function escape(text) {
  return String(text ?? '').replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
}

const style = `
:root { color-scheme: light dark; --ink:#1b2430; --quiet:#5c6878; --line:#d8dee6; --paper:#ffffff; --ground:#eef1f5; --accent:#155e75; --on-accent:#ffffff; --bad:#a3261b; }
@media (prefers-color-scheme: dark) { :root { --ink:#e8ecf1; --quiet:#9aa7b6; --line:#33404e; --paper:#1a222c; --ground:#10161d; --accent:#4fb3cf; --on-accent:#06222b; --bad:#ff9d92; } }
* { box-sizing: border-box; }
body { margin:0; min-height:100vh; display:grid; place-items:center; padding:32px 16px; background:var(--ground); color:var(--ink);
  font: 16px/1.5 "Noto Sans", "DejaVu Sans", system-ui, sans-serif; }
main { width:100%; max-width:420px; background:var(--paper); border:1px solid var(--line); border-radius:14px; padding:32px; }
.mark { display:flex; align-items:center; gap:10px; color:var(--quiet); font-weight:600; margin-bottom:20px; }
.mark svg { width:28px; height:28px; color:var(--accent); }
h1 { font-size:22px; line-height:1.3; margin:0 0 6px; font-weight:650; }
p { margin:0 0 16px; } .quiet { color:var(--quiet); font-size:14px; }
label { display:block; font-size:14px; font-weight:600; margin:14px 0 6px; }
input[type=text], input[type=password] { width:100%; font:inherit; color:inherit; background:transparent; border:1px solid var(--quiet); border-radius:8px; padding:10px 12px; }
input:focus-visible, button:focus-visible { outline:3px solid var(--accent); outline-offset:2px; }
.row { display:flex; gap:12px; margin-top:24px; }
button { flex:1; font:inherit; font-weight:600; padding:11px 16px; border-radius:8px; border:1px solid var(--accent); background:var(--accent); color:var(--on-accent); cursor:pointer; }
button.second { background:transparent; color:var(--ink); border-color:var(--quiet); }
ul { list-style:none; margin:0 0 8px; padding:0; border-top:1px solid var(--line); }
li { padding:10px 0; border-bottom:1px solid var(--line); } li small { display:block; color:var(--quiet); }
label.choice { display:flex; gap:12px; align-items:flex-start; font-weight:400; font-size:16px; margin:0; } label.choice input { margin-top:5px; width:18px; height:18px; accent-color:var(--accent); }
.bad { color:var(--bad); font-weight:600; } code { font-family:"DejaVu Sans Mono", monospace; font-size:14px; }
details { margin-top:22px; color:var(--quiet); font-size:14px; } summary { cursor:pointer; }
table { border-collapse:collapse; margin-top:8px; width:100%; } td { padding:3px 10px 3px 0; vertical-align:top; }
`;

const mark = `<div class="mark"><svg viewBox="0 0 28 28" fill="none" stroke="currentColor" stroke-width="2.2" stroke-linecap="round" aria-hidden="true"><circle cx="14" cy="6" r="3"/><path d="M14 9v15M8 13h12M4 16c0 5 4.5 8 10 8s10-3 10-8"/></svg>Harbor ID</div>`;

/** A whole page. `body` is trusted markup; `title` is text. */
export function page(title, body) {
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escape(title)} · Harbor ID</title><style>${style}</style></head><body><main>${mark}${body}</main></body></html>`;
}

/** Name and password. `as` is whose sign-in it must be. */
export function login({ action, client, as, problem, hint }) {
  const rows = [...people.values()]
    .map((p) => `<tr><td><code>${escape(p.sub)}</code></td><td>${escape(p.name)}, ${escape(p.role)}</td><td><code>${escape(p.password)}</code></td></tr>`)
    .join('');
  return page('Sign in', `<h1>Sign in${as ? ` as ${escape(as)}` : ''}</h1><p class="quiet">to continue to ${escape(client)}</p>
${problem ? `<p class="bad" role="alert">${escape(problem)}</p>` : ''}
<form method="post" action="${escape(action)}" autocomplete="off">
<label for="login">Name</label><input id="login" name="login" type="text" value="${escape(hint)}" required autofocus>
<label for="password">Password</label><input id="password" name="password" type="password" required>
<div class="row"><button type="submit">Sign in</button></div></form>
<details><summary>This is a demo provider. Who is there?</summary><table>${rows}</table></details>`);
}

/** The second factor. A real one would be on the person's phone. */
export function code({ action, abort, client, code, problem }) {
  return page('Enter your code', `<h1>Enter your code</h1><p class="quiet">${escape(client)} asks for a second factor</p>
${problem ? `<p class="bad" role="alert">${escape(problem)}</p>` : ''}
<form id="code-form" method="post" action="${escape(action)}" autocomplete="off">
<label for="code">Six digits</label><input id="code" name="code" type="text" inputmode="numeric" required autofocus></form>
<div class="row"><form method="post" action="${escape(abort)}" style="display:contents"><button class="second" type="submit">Cancel</button></form>
<button type="submit" form="code-form">Continue</button></div>
<details><summary>This is a demo provider. Where is the code?</summary><p>On your phone: <code>${escape(code)}</code></p></details>`);
}

/** What the client is about to be told, and what it may do: each right of a resource can be declined by itself. */
export function consent({ action, abort, client, person, scopes, resources }) {
  const line = ([what, why]) => `${escape(what)}${why ? `<small>${escape(why)}</small>` : ''}`;
  const told = scopes.map((scope) => `<li>${line(aboutYou.get(scope) ?? [scope, ''])}</li>`);
  const rights = resources.flatMap(([resource, wanted]) =>
    wanted.map((scope) => {
      const words = line(scopesOf(resource)?.get(scope) ?? [scope, '']);
      return `<li><label class="choice"><input type="checkbox" name="scope" value="${escape(scope)}" checked><span>${words}<small><code>${escape(scope)}</code></small></span></label></li>`;
    }),
  );
  const stepUp = resources.some(([resource]) => isStepUp(resource));
  const heading = stepUp ? `Allow ${escape(client)} this once?` : `Continue to ${escape(client)}?`;
  return page('Continue?', `<h1>${heading}</h1>
<p class="quiet">You are signed in as ${escape(person)}. This is a program on your own computer. Continue only if you have just started this yourself.</p>
<form id="consent" method="post" action="${escape(action)}">
${rights.length ? `<p>It may:</p><ul>${rights.join('')}</ul>` : ''}
${told.length ? `<p>It will see:</p><ul>${told.join('')}</ul>` : ''}</form>
<div class="row"><form method="post" action="${escape(abort)}" style="display:contents"><button class="second" type="submit">Cancel</button></form>
<button type="submit" form="consent">Continue</button></div>`);
}

/** The code that a device shows. `form` comes from the provider and holds its own fields. */
export function deviceInput({ form, problem }) {
  return page('Enter the code', `<h1>Enter the code</h1><p class="quiet">that your terminal shows</p>
${problem ? `<p class="bad" role="alert">${escape(problem)}</p>` : ''}${form}
<div class="row"><button type="submit" form="op.deviceInputForm">Continue</button></div>`);
}

/** Is this the code? */
export function deviceConfirm({ form, client, code }) {
  return page('Is this your code?', `<h1>Is this your code?</h1><p>${escape(client)} shows <code>${escape(code)}</code>.</p>
<p class="quiet">If it does not, or if you have not started it, cancel.</p>${form}
<div class="row"><button class="second" type="submit" form="op.deviceConfirmForm" value="yes" name="abort">Cancel</button>
<button type="submit" form="op.deviceConfirmForm">Continue</button></div>`);
}

/** Done. */
export function deviceDone({ client }) {
  return page('Signed in', `<h1>Signed in</h1><p>${escape(client)} has what it needs. You can close this page.</p>`);
}

/** Something is wrong. Error parameters are shown as text, never as markup. */
export function failure({ title, sentence }) {
  return page(title, `<h1>${escape(title)}</h1><p>${escape(sentence)}</p>`);
}
