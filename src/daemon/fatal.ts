/** An error that ends the daemon at start: one line for the person who started it, no stack. */
export class Fatal extends Error {}
