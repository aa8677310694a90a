/** An OCSF event: https://schema.ocsf.io/1.6.0/. */
export type OcsfEvent = Readonly<Record<string, unknown>> & {
  readonly class_uid: number;
  readonly activity_id: number;
  readonly time: number;
  readonly metadata: Readonly<Record<string, unknown>> & {
    /** Unique to this event: who gets it twice counts it once. */
    readonly uid: string;
  };
};

/**
 * Where events go. `emit` resolves when the event is safe: on the disk, or out of this process's hands; an awaiting
 * caller is held back that long. Rejects with EventError.
 */
export interface EventSink {
  emit(event: OcsfEvent): Promise<void>;
}

/** Whether the event of an action would find room. Where it would not, nothing is done in a guest. */
export interface EventRoom {
  /** In plain words, or undefined when there is room. */
  reasonToWithhold(): string | undefined;
}
