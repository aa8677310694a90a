/** An OCSF event: https://schema.ocsf.io/1.6.0/. */
export type OcsfEvent = Readonly<Record<string, unknown>> & {
  readonly class_uid: number;
  readonly activity_id: number;
  readonly time: number;
};

/** Where events go. `emit` returns when the event is out of this process's hands, so an awaiting caller is held back. */
export interface EventSink {
  emit(event: OcsfEvent): Promise<void>;
}
