/** A guest of the demo, with a look into it that does not go through the agent. */
export interface DemoGuest {
  /** For a person: what kind of guest this is. */
  readonly kind: string;
  /** The host's end of the agent's port. */
  readonly socket: string;
  /** What SMBIOS tells the guest; a folder has none. */
  readonly uuid?: string;
  /** The content of a file of the guest as it is now; undefined when there is none. */
  read(path: string): Promise<Buffer | undefined>;
  /** The executables of the running processes, as /proc/PID/exe has them (a deleted one ends in " (deleted)"). */
  executables(): Promise<string[]>;
  /** Ends the guest and removes all that belongs to it. May be called again. */
  close(): Promise<void>;
}
