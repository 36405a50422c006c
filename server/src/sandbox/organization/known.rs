//! The people with a fixed name: the head of all, the administrator, and names
//! that break careless software.

/// Somebody who is in every organization of a usable size.
pub struct Known {
    pub given: &'static str,
    pub family: &'static str,
    pub local: &'static str,
    pub unit: &'static str,
    pub title: &'static str,
}

const fn known(
    given: &'static str,
    family: &'static str,
    local: &'static str,
    unit: &'static str,
    title: &'static str,
) -> Known {
    Known {
        given,
        family,
        local,
        unit,
        title,
    }
}

/// All of them.
pub const KNOWN: &[Known] = &[
    known(
        "Margaret",
        "Northmoor-Hale",
        "margaret.northmoor-hale",
        "/",
        "Chief executive",
    ),
    known("Ines", "Albrecht", "ines.albrecht", "/IT", "Head of IT"),
    known(
        "美咲",
        "佐藤",
        "misaki.sato",
        "/Product/Design",
        "Industrial designer",
    ),
    known(
        "Sigríður",
        "Þorvaldsdóttir",
        "sigridur.thorvaldsdottir",
        "/Product/Design",
        "Design researcher",
    ),
    known(
        "Αλέξανδρος",
        "Κωνσταντινίδης",
        "alexandros.konstantinidis",
        "/Product/Design",
        "Industrial designer",
    ),
    known(
        "Adaobi",
        "Chukwuemeka",
        "adaobi.chukwuemeka",
        "/Customer success",
        "Customer success lead",
    ),
    known(
        "ליאורה",
        "בן־דוד",
        "liora.bendavid",
        "/Customer success",
        "Onboarding specialist",
    ),
    known(
        "عبد الرحمن",
        "بن عبد العزيز الشهراني",
        "abdulrahman.alshahrani",
        "/Engineering",
        "Principal engineer",
    ),
    known(
        "Siobhán",
        "O'Connell-D'Arcy",
        "siobhan.o'connell",
        "/Engineering/Platform",
        "Staff engineer",
    ),
    known(
        "Wolfgang Amadeus Maximilian",
        "zu Hohenlohe-Waldenburg-Schillingsfürst und Bartenstein",
        "wolfgang.hohenlohe-waldenburg-schillingsfuerst-bartenstein",
        "/Finance and people",
        "Controller for intercompany settlements, transfer pricing and group consolidation",
    ),
    known(
        "María del Carmen",
        "Fernández-Villaverde y Goyeneche",
        "mc.fernandez",
        "/Operations",
        "Plant manager",
    ),
    known(
        "Thị Ngọc Ánh",
        "Nguyễn",
        "ngoc.anh",
        "/Engineering/Metrology and calibration",
        "Metrologist",
    ),
    known(
        "서연",
        "김",
        "seoyeon.kim",
        "/Product/研究 Research",
        "Research scientist",
    ),
    known(
        "小明",
        "王",
        "xiaoming.wang",
        "/Operations/Manufacturing",
        "Process engineer",
    ),
    known(
        "Jennifer",
        "Null",
        "jennifer.null",
        "/Customer success",
        "Account manager",
    ),
    known(
        "Ai",
        "Ng",
        "ai.ng",
        "/Engineering/Platform",
        "Software engineer",
    ),
    known(
        "Ólafur",
        "=SUM-Guðjónsson",
        "olafur.sum",
        "/Finance and people",
        "Analyst & \"spreadsheet\" owner <finance>",
    ),
    known(
        "Tsion",
        "Gebreyesus",
        "tsion.gebreyesus",
        "/Product",
        "Product lead",
    ),
    known(
        "Olúmídé",
        "Fálétí",
        "olumide.faleti",
        "/Engineering/Platform/Reliability",
        "Reliability lead",
    ),
    known(
        "Rasmus",
        "Ørsted-Ångström",
        "rasmus.orsted",
        "/Labs",
        "Head of Labs",
    ),
];
