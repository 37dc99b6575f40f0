/** The viewer's style sheet, put in by build.mjs. */
declare const VIEWER_STYLES: string;
