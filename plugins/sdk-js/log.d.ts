type Write = (message: string) => void;

/** Imported, `console` writes here, too; otherwise it writes nothing. At most 1 KiB of a message and 16 messages of a call are kept. */
export const log: { debug: Write; info: Write; warn: Write; error: Write };
