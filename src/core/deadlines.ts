// Kinds of an entry's deadlines in the wheel.

export const DEADLINE = {
  /** Its message expires. */
  expiry: 0,
  /** A delay or a lease is over. */
  wake: 1,
} as const
