// Kinds of an entry's deadlines in the wheel.

export const DEADLINE = {
  /** Its message expires. */
  expiry: 0,
  /** A delay or a lease is over. */
  wake: 1,
  /** A topic's retained message expires; the number is the message's. */
  retained: 2,
} as const
