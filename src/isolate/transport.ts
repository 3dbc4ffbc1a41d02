/**
 * What carries the posts of a door from one isolate to another. A channel uses no more of it than this: it is a MessagePort
 * (message_port.ts) within one process, two pipes (socket_transport.ts) between two.
 */

/** Takes what comes out of a transport. */
export interface PostReceiver {
  /** Called with each post, in order. What is in it was said by the other side and is not checked yet. */
  onpost(post: unknown): void;
  /** Called when something came that is no post. `fault` says what was wrong, without the content. */
  onfault(fault: string): void;
  /** Called once when the other side has ended, after all posts that it had sent. Who does not listen hears of the end in another way. */
  onclose?(): void;
}

/** One side of a connection between two isolates. Posts arrive in the order in which they were sent, or not at all. */
export interface Transport {
  /** Sends messages of plain data as one post. The buffers of `transfer` are not used any more by the sender: they may be moved instead of copied. */
  post(messages: readonly unknown[], transfer: Transferable[]): void;
  /** Hands on what arrives from now on, and what has waited. Called once. */
  receive(receiver: PostReceiver): void;
  /** Ends it: nothing more is handed on, and what is posted from now on is lost. */
  close(): void;
}
