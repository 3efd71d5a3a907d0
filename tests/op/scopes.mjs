// What may be asked for, in the words of the person who is asked.

import { scope as boundKey } from './key-binding.mjs';

/** How a person signed in: with a password alone, or with the code of their second factor as well. */
export const acrs = { password: 'urn:countersign:demo:password', code: 'urn:countersign:demo:mfa' };

/** Scopes of OpenID Connect: what the client is told about the person. */
export const aboutYou = new Map([
  ['openid', ['Who you are', 'your account at Harbor ID']],
  ['profile', ['Your name', '']],
  ['email', ['Your e-mail address', '']],
  ['groups', ['Your groups', 'they say what you may approve']],
  boundKey,
  ['offline_access', ['Staying signed in', 'fresh claims without a new sign-in']],
]);

/** Scopes of the orders API: what the bearer of a token may do there. */
export const orders = new Map([
  ['orders', ['Use the orders API', 'as far as your groups allow']],
  ['orders:export', ['Export all customers', 'with their addresses']],
]);

/** Scopes of a step-up: one single operation that the person is just about to approve. They open no API. */
export const approvals = new Map([
  ['approve:orders.delete', ['Approve the deletion of a customer', 'this one time, as your screen shows it']],
  ['approve:orders.prices', ['Approve a change of prices', 'this one time, as your screen shows it']],
  ['approve:orders.refund', ['Approve a refund', 'this one time, as your screen shows it']],
]);

/** Scopes of a Countersign server, for people and programs that ask it directly. */
export const server = new Map([['countersign', ['Use the approval server', 'in your name']]]);

/** Whether a resource is where the evidence of a step-up is addressed: `<server>/step-up`. */
export function isStepUp(resource) {
  return /^http:\/\/127\.0\.0\.1:\d+\/step-up$/.test(resource);
}

/** The scopes that a resource knows, or nothing when this provider does not know the resource. */
export function scopesOf(resource) {
  if (isStepUp(resource)) return approvals;
  if (resource.startsWith('urn:countersign:demo:')) return orders;
  if (/^http:\/\/127\.0\.0\.1:\d+\/?$/.test(resource)) return server;
  return undefined;
}
